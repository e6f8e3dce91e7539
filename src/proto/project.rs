//! `project_service.proto`.

use crate::domain::{Project, Variables};

use super::{time::time_to_proto, v1};

/// A project in a client's create or update.
#[derive(Clone, Debug)]
pub struct SentProject {
    /// The project to create or update.
    pub name: String,
    /// The etag that the client has read; empty to update any version.
    pub etag: String,
    /// Free text.
    pub description: String,
    /// Client data, never interpreted.
    pub annotations: Variables,
}

/// Decodes a client's project. Output-only fields are ignored.
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

/// Converts a project, without its etag, which depends on the stored version.
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
