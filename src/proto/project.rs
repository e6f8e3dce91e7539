//! `project_service.proto`.

use crate::domain::{Project, Variables};

use super::{time::time_to_proto, v1};

/// What a client sent of a project: what it may set, and what it claims of the
/// project that it means.
#[derive(Clone, Debug)]
pub struct SentProject {
    /// The project meant.
    pub name: String,
    /// The etag of what the client has read; empty for any.
    pub etag: String,
    /// For people.
    pub description: String,
    /// Data of the client.
    pub annotations: Variables,
}

/// Reads a project that a client sent. Output-only fields are ignored.
pub fn project_from_proto(project: v1::Project) -> SentProject {
    let v1::Project {
        name,
        description,
        annotations,
        etag,
        create_time: _,
        update_time: _,
        creator: _,
    } = project;
    SentProject {
        name,
        etag,
        description,
        annotations,
    }
}

/// A project as clients see it, but for its etag, which is of its stored version.
pub fn project_to_proto(project: &Project) -> v1::Project {
    let Project {
        name,
        description,
        annotations,
        creator,
        create_time,
        update_time,
    } = project;
    v1::Project {
        name: name.clone(),
        description: description.clone(),
        annotations: annotations.clone(),
        etag: String::new(),
        create_time: Some(time_to_proto(*create_time)),
        update_time: Some(time_to_proto(*update_time)),
        creator: creator.clone(),
    }
}
