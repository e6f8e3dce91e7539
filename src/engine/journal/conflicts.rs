use std::time::Duration;

use tokio::{task, time};

use crate::{
    engine::{Error, jitter::jitter},
    store::CommitError,
};

/// How often a call may decide again before it fails.
const MAX_CONFLICTS: u32 = 8;
/// Upper bound of the pause before the second retry; it doubles with every further
/// one.
const FIRST_PAUSE: Duration = Duration::from_millis(1);

/// Counts the version conflicts of one call. Many callers that change the same
/// scope concurrently make each other decide again; a bounded number of retries
/// with jitter ends that.
#[derive(Default)]
pub(in crate::engine) struct Conflicts(u32);

impl Conflicts {
    /// Waits before the caller loads and decides again.
    /// # Errors
    /// The error itself if it is not a conflict; [`Error::Contended`] after too many
    /// retries.
    pub(in crate::engine) async fn again(&mut self, error: CommitError) -> Result<(), Error> {
        match error {
            CommitError::Conflict => {}
            CommitError::Store(error) | CommitError::Unknown(error) => return Err(error.into()),
            CommitError::NameTaken {
                project,
                name,
                owner,
            } => {
                return Err(Error::NameTaken {
                    project,
                    name,
                    owner,
                });
            }
            CommitError::OverLimit(over) => return Err(Error::OverBudget(over)),
            // Only calls with a request id write a record, and they look it up again.
            CommitError::Answered(_) => return Err(Error::RequestIdReused),
        }
        self.0 += 1;
        if self.0 >= MAX_CONFLICTS {
            return Err(Error::Contended);
        }
        match self.0 {
            // The other writer is done by now.
            1 => task::yield_now().await,
            tries => {
                let longest = FIRST_PAUSE * 2u32.pow(tries - 2);
                time::sleep(longest.mul_f64(jitter())).await;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::store::StoreError;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_call_fails_after_too_many_conflicts() {
        let mut conflicts = Conflicts::default();
        for _ in 1..MAX_CONFLICTS {
            conflicts.again(CommitError::Conflict).await.unwrap();
        }
        let given_up = conflicts.again(CommitError::Conflict).await;
        assert!(matches!(given_up, Err(Error::Contended)));
    }

    #[tokio::test]
    async fn other_errors_are_not_retried() {
        let failed = CommitError::Store(StoreError::transient("disk"));
        let given_up = Conflicts::default().again(failed).await;
        assert!(matches!(given_up, Err(Error::Store(_))));
    }
}
