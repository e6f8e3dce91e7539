use std::time::Duration;

use tokio::{task, time};

use crate::{engine::Error, store::CommitError};

/// How often a decision is made again before the call is given up.
const MAX_CONFLICTS: u32 = 8;
/// Longest pause before the second try; it doubles with every further one.
const FIRST_PAUSE: Duration = Duration::from_millis(1);

/// Counts the conflicts of one call. Many callers that change the same scope at once make
/// each other decide again; a bounded number of tries with jitter keeps that from going on
/// for ever.
#[derive(Default)]
pub(in crate::engine) struct Conflicts(u32);

impl Conflicts {
    /// Waits until it makes sense to load and decide again.
    ///
    /// # Errors
    /// The error itself if it is no conflict; [`Error::Contended`] when it was tried often
    /// enough.
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
            // Only calls with a request id have an answer to keep, and they look it up again.
            CommitError::Answered(_) => return Err(Error::RequestIdReused),
        }
        self.0 += 1;
        if self.0 >= MAX_CONFLICTS {
            return Err(Error::Contended);
        }
        match self.0 {
            // Whoever was first is done by now.
            1 => task::yield_now().await,
            tries => {
                let longest = FIRST_PAUSE * 2u32.pow(tries - 2);
                time::sleep(longest.mul_f64(rand::random())).await;
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
    async fn a_call_that_always_loses_is_given_up() {
        let mut conflicts = Conflicts::default();
        for _ in 1..MAX_CONFLICTS {
            conflicts.again(CommitError::Conflict).await.unwrap();
        }
        let given_up = conflicts.again(CommitError::Conflict).await;
        assert!(matches!(given_up, Err(Error::Contended)));
    }

    #[tokio::test]
    async fn what_is_no_conflict_is_not_tried_again() {
        let failed = CommitError::Store(StoreError::transient("disk"));
        let given_up = Conflicts::default().again(failed).await;
        assert!(matches!(given_up, Err(Error::Store(_))));
    }
}
