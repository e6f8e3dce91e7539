//! Projects, which own pipelines and their jobs.

use std::time::SystemTime;

use super::Variables;

/// The project of pipelines that name none. It always exists and cannot be deleted.
pub const DEFAULT_PROJECT: &str = "default";

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Project {
    /// Unique and immutable, because grants and pipelines refer to it.
    pub name: String,
    pub description: String,
    /// Client data, never interpreted.
    pub annotations: Variables,
    /// Principal that created it.
    pub creator: String,
    pub create_time: SystemTime,
    pub update_time: SystemTime,
}
