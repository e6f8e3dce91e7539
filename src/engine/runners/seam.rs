//! What a runner asks of the service that assigns work.

use std::time::Duration;

use async_trait::async_trait;

use crate::domain::{
    RunnerId, SessionId,
    lease::{
        Acquired, Appended, Completion, Directive, LeaseProof, LogAppend, Registered, Registration,
        Renewed, Report, WorkRequest,
    },
};

/// The runner's side of a lease, from registration to the stage's end.
///
/// The engine implements it in process, for each principal that has runners, and a client of
/// `LeaseService` for other machines. A lease is the only right to write: all writes carry its
/// [`LeaseProof`], and one that is no longer valid is refused with
/// [`LeaseError::Lost`], which means: kill the stage, do not try again.
#[async_trait]
pub trait Leases: Send + Sync + 'static {
    /// Announces a runner's process. The same session gets the same answer; the
    /// leases of the runner's earlier session are void.
    async fn register(&self, runner: Registration) -> Result<Registered, LeaseError>;

    /// Waits for a stage that the runner's labels fit, or until one of the held jobs,
    /// whose workspaces the runner keeps, is over. While a lease lives, a request of
    /// the same id gets it again, so that a lost answer loses nothing.
    async fn acquire(&self, request: WorkRequest) -> Result<Acquired, LeaseError>;

    /// Confirms the lease and reports what is known of the stage. Answers when
    /// the directive is no longer `known`, else after `max_wait`. Two calls may
    /// overlap, one that is held and one that reports. Nothing may be
    /// started before the first call, with a `max_wait` of zero, was answered.
    async fn renew(
        &self,
        proof: LeaseProof,
        report: Report,
        known: Directive,
        max_wait: Duration,
    ) -> Result<Renewed, LeaseError>;

    /// Appends bytes to the stage's log. Bytes below its size are taken as sent again.
    async fn append_log(
        &self,
        proof: LeaseProof,
        append: LogAppend,
    ) -> Result<Appended, LeaseError>;

    /// Says that a runner's process stops and holds no lease: it is offline from now on.
    async fn deregister(&self, id: RunnerId, session_id: SessionId) -> Result<(), LeaseError>;

    /// Ends the lease with the stage's outcome. Repeating it is fine. A log that is
    /// not complete is refused with [`LeaseError::Hole`], unless the runner says so.
    async fn complete(&self, proof: LeaseProof, completion: Completion) -> Result<(), LeaseError>;
}

/// Why the other side refused a runner's call.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// The lease is void: stop the stage.
    #[error("the lease is no longer valid")]
    Lost,
    /// The runner or its session is not known (any more): register again.
    #[error("the runner is not registered")]
    Unregistered,
    /// The log is shorter than the call says.
    #[error("the log ends at {committed}")]
    Hole {
        /// Everything below is stored.
        committed: u64,
    },
    /// The service knows as many runners as it may.
    #[error("{limit} runners are registered, the most that are allowed (max_runners)")]
    TooManyRunners {
        /// The limit.
        limit: usize,
    },
    /// The service is stopping; there will be no more work.
    #[error("the service is stopping")]
    Stopping,
    /// The service will never take this runner: trying again is of no use.
    #[error("{message}")]
    Refused {
        /// What is wrong.
        why: LeaseRefusal,
        /// For people.
        message: String,
    },
    /// Anything else: the call may be tried again.
    #[error("{0}")]
    Failed(String),
}

/// Why a service will never take a runner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaseRefusal {
    /// What the runner says of itself is not valid.
    Invalid,
    /// The service does not know who this is.
    NotKnown,
    /// The runner may not.
    NotAllowed,
    /// The service assigns no work.
    NotSupported,
}
