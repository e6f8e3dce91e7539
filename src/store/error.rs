use std::{error::Error, sync::Arc};

use crate::domain::PipelineId;

use super::{KeptAnswer, OverLimit};

#[derive(Clone, Debug, thiserror::Error)]
#[error("the store failed: {message}")]
pub struct StoreError {
    /// The operation that failed.
    pub message: String,
    /// What a caller can do about it.
    pub kind: StoreErrorKind,
    #[source]
    pub source: Option<Arc<dyn Error + Send + Sync>>,
}

/// What a caller can do about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreErrorKind {
    /// The same call may succeed later.
    Transient,
    /// The disk is full: reads go on, and writes succeed again once there is space.
    Full,
    /// It lasts until it is fixed.
    Permanent,
}

impl StoreError {
    /// There is no space for a write, which had no effect.
    pub fn full(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            kind: StoreErrorKind::Full,
            source: None,
        }
    }

    /// A temporary failure: the same call may succeed later.
    pub fn transient(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            kind: StoreErrorKind::Transient,
            source: None,
        }
    }

    /// A failure that lasts until it is fixed.
    pub fn permanent(
        message: impl Into<String>,
        source: impl Error + Send + Sync + 'static,
    ) -> Self {
        Self {
            message: message.into(),
            kind: StoreErrorKind::Permanent,
            source: Some(Arc::new(source)),
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// Something that the decision was based on has changed: load and decide again.
    #[error("a scope has changed since it was loaded")]
    Conflict,
    /// Another pipeline of the project has the name.
    #[error("project '{project}' has a pipeline named '{name}'")]
    NameTaken {
        /// The project.
        project: String,
        /// The name.
        name: String,
        /// That pipeline.
        owner: PipelineId,
    },
    /// The request id has been answered in the meantime.
    #[error("the request id has been answered")]
    Answered(KeptAnswer),
    /// The batch would take an account over one of its limits.
    #[error("a limit of stored bytes is exceeded")]
    OverLimit(OverLimit),
    /// Whether the batch was committed is unknown: the connection broke during the
    /// COMMIT. [`was_committed`](super::Store::was_committed) finds out.
    #[error("it is not known whether the batch was committed")]
    Unknown(#[source] StoreError),
    #[error(transparent)]
    Store(#[from] StoreError),
}
