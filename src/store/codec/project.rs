use crate::domain::Project;

use super::{
    CodecError, Kind, Stored, messages,
    primitives::{time_from_nanos, time_to_nanos},
};

impl Stored for Project {
    const KIND: Kind = Kind::Project;
    type Message = messages::Project;

    fn to_message(&self) -> Self::Message {
        let Self {
            name,
            description,
            annotations,
            creator,
            create_time,
            update_time,
        } = self;
        messages::Project {
            name: name.clone(),
            description: description.clone(),
            annotations: annotations.clone(),
            creator: creator.clone(),
            create_time: time_to_nanos(*create_time),
            update_time: time_to_nanos(*update_time),
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
        } = message;
        Ok(Self {
            name,
            description,
            annotations,
            creator,
            create_time: time_from_nanos(create_time),
            update_time: time_from_nanos(update_time),
        })
    }
}
