use crate::domain::Project;

use super::{
    CodecError, Kind, Stored, messages,
    primitives::{time_from_nanos, time_to_nanos},
};

/// A project with what a change of it is checked against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredProject {
    /// The project.
    pub project: Project,
    /// 1 for a new project; goes up by one with every change.
    pub version: i64,
}

impl Stored for StoredProject {
    const KIND: Kind = Kind::Project;
    type Message = messages::Project;

    fn to_message(&self) -> Self::Message {
        let Self { project, version } = self;
        let Project {
            name,
            description,
            annotations,
            creator,
            create_time,
            update_time,
        } = project;
        messages::Project {
            name: name.clone(),
            description: description.clone(),
            annotations: annotations.clone(),
            creator: creator.clone(),
            create_time: time_to_nanos(*create_time),
            update_time: time_to_nanos(*update_time),
            version: *version,
        }
    }

    fn from_message(message: Self::Message) -> Result<Self, CodecError> {
        let messages::Project {
            name,
            description,
            annotations,
            creator,
            create_time,
            update_time,
            version,
        } = message;
        let project = Project {
            name,
            description,
            annotations,
            creator,
            create_time: time_from_nanos(create_time),
            update_time: time_from_nanos(update_time),
        };
        Ok(Self { project, version })
    }
}
