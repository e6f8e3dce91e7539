//! Projects: what owns pipelines and their jobs.

use std::time::SystemTime;

use super::Variables;

/// The project of pipelines that name none. It is there from the start and cannot go.
pub const DEFAULT_PROJECT: &str = "default";

/// An owner of pipelines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Project {
    /// Unique; never changes, because grants and pipelines refer to it.
    pub name: String,
    /// For people.
    pub description: String,
    /// Client data, never interpreted.
    pub annotations: Variables,
    /// Principal that created it.
    pub creator: String,
    /// When it was created.
    pub create_time: SystemTime,
    /// When it was last changed.
    pub update_time: SystemTime,
}
