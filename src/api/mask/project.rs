use crate::{
    domain::Project,
    engine::ProjectDraft,
    proto::{SentProject, v1},
};

use super::{Field, Mask};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::api) enum ProjectField {
    Description,
    Annotations,
}

impl Field for ProjectField {
    type Message = v1::Project;

    const ALL: &'static [Self] = &[Self::Description, Self::Annotations];
    const IMMUTABLE: &'static [&'static str] =
        &["name", "etag", "create_time", "update_time", "creator"];

    fn path(self) -> &'static str {
        match self {
            Self::Description => "description",
            Self::Annotations => "annotations",
        }
    }

    fn is_populated(self, project: &v1::Project) -> bool {
        match self {
            Self::Description => !project.description.is_empty(),
            Self::Annotations => !project.annotations.is_empty(),
        }
    }
}

impl Mask<ProjectField> {
    /// Copies the mask's fields from the sent project to the current one.
    pub(in crate::api) fn apply(&self, sent: &SentProject, current: &Project) -> ProjectDraft {
        let mut draft = ProjectDraft {
            name: current.name.clone(),
            description: current.description.clone(),
            annotations: current.annotations.clone(),
        };
        for field in &self.fields {
            match field {
                ProjectField::Description => draft.description.clone_from(&sent.description),
                ProjectField::Annotations => draft.annotations.clone_from(&sent.annotations),
            }
        }
        draft
    }
}
