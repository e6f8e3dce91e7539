//! The collections of records.

use std::{fmt, time::SystemTime};

use bytes::Bytes;

use crate::domain::Project;

use super::{
    Collection, StoreError,
    codec::{self, CodecError, Kind, Stored, messages},
};

pub const PROJECTS: &str = "projects";
pub const DEAD_LETTERS: &str = "dead_letters";

/// Projects, keyed by name.
pub struct Projects;

impl Collection for Projects {
    type Value = Project;
    const NAME: &'static str = PROJECTS;

    fn encode(project: &Project) -> Bytes {
        codec::encode(project).into()
    }

    fn decode(body: &[u8]) -> Result<Project, StoreError> {
        codec::decode(body).map_err(unreadable)
    }

    fn key(project: &Project) -> String {
        project.name.clone()
    }

    fn project(project: &Project) -> String {
        project.name.clone()
    }

    fn principal(project: &Project) -> String {
        project.creator.clone()
    }
}

/// A message that was given up because it could not be sent.
#[derive(Clone, PartialEq, Eq)]
pub struct DeadLetter {
    pub kind: String,
    /// Unique within its kind.
    pub key: String,
    /// Token of the last claim: a later message with the same key has another one.
    pub token: u64,
    /// Messages with the same order key were sent in order.
    pub order_key: Option<String>,
    pub attempts: u32,
    pub body: Bytes,
    /// Why the last attempt failed.
    pub error: String,
    /// When it was given up.
    pub time: SystemTime,
    /// When the dead letter expires.
    pub expires: SystemTime,
}

/// Shows the length of the body instead of the body, which may contain secrets.
impl fmt::Debug for DeadLetter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeadLetter")
            .field("kind", &self.kind)
            .field("key", &self.key)
            .field("attempts", &self.attempts)
            .field("error", &self.error)
            .field("time", &self.time)
            .field("bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// Dead letters, keyed by kind, key and claim; indexed by kind.
pub struct DeadLetters;

impl Collection for DeadLetters {
    type Value = DeadLetter;
    const NAME: &'static str = DEAD_LETTERS;

    fn encode(letter: &DeadLetter) -> Bytes {
        codec::encode(letter).into()
    }

    fn decode(body: &[u8]) -> Result<DeadLetter, StoreError> {
        codec::decode(body).map_err(unreadable)
    }

    fn key(letter: &DeadLetter) -> String {
        format!("{}/{}/{}", letter.kind, letter.key, letter.token)
    }

    fn project(_: &DeadLetter) -> String {
        String::new()
    }

    fn indexes(letter: &DeadLetter) -> Vec<(&'static str, String)> {
        vec![("kind", letter.kind.clone())]
    }

    fn expires(letter: &DeadLetter) -> Option<SystemTime> {
        Some(letter.expires)
    }
}

impl Stored for DeadLetter {
    const KIND: Kind = Kind::DeadLetter;
    type Message = messages::DeadLetter;

    fn to_message(&self) -> Self::Message {
        let Self {
            kind,
            key,
            token,
            order_key,
            attempts,
            body,
            error,
            time,
            expires,
        } = self;
        messages::DeadLetter {
            kind: kind.clone(),
            key: key.clone(),
            token: *token,
            order_key: order_key.clone(),
            attempts: *attempts,
            body: body.clone(),
            error: error.clone(),
            time: codec::time_to_nanos(*time),
            expires: codec::time_to_nanos(*expires),
        }
    }

    fn from_message(message: Self::Message) -> Result<Self, CodecError> {
        let messages::DeadLetter {
            kind,
            key,
            token,
            order_key,
            attempts,
            body,
            error,
            time,
            expires,
        } = message;
        Ok(Self {
            kind,
            key,
            token,
            order_key,
            attempts,
            body,
            error,
            time: codec::time_from_nanos(time),
            expires: codec::time_from_nanos(expires),
        })
    }
}

fn unreadable(error: CodecError) -> StoreError {
    StoreError::permanent(format!("a record cannot be read: {error}"), error)
}
