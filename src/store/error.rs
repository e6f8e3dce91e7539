use std::{error::Error, sync::Arc};

use crate::domain::PipelineId;

use super::KeptAnswer;

/// The store could not do its work.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the store failed: {message}")]
pub struct StoreError {
    /// What it could not do.
    pub message: String,
    /// Whether the same call may succeed later.
    pub is_transient: bool,
    /// Why.
    #[source]
    pub source: Option<Arc<dyn Error + Send + Sync>>,
}

impl StoreError {
    /// A failure that may pass: the same call may succeed later.
    pub fn transient(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            is_transient: true,
            source: None,
        }
    }

    /// A failure that stays until somebody mends it.
    pub fn permanent(
        message: impl Into<String>,
        source: impl Error + Send + Sync + 'static,
    ) -> Self {
        Self {
            message: message.into(),
            is_transient: false,
            source: Some(Arc::new(source)),
        }
    }
}

/// Why a batch was not committed.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// Something that the decision was based on has changed: load again.
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
    /// Whether it was committed is not known: the connection broke during the COMMIT.
    /// [`was_committed`](super::Store::was_committed) tells.
    #[error("it is not known whether the batch was committed")]
    Unknown(#[source] StoreError),
    /// The store could not do its work.
    #[error(transparent)]
    Store(#[from] StoreError),
}
