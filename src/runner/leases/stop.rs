//! The signal to stop a stage, and its cause.

use tokio::sync::watch;

/// Why a stage is stopped early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::runner) enum Cause {
    /// The service asked for it.
    Cancelled,
    /// The stage used up its time.
    TimedOut,
    /// The lease is void: another runner may be at work on the stage already.
    LeaseLost,
}

/// Carries a [`Cause`] from the task that detects it to the one that ends the processes.
pub(in crate::runner) struct Stop(watch::Sender<Option<Cause>>);

impl Stop {
    pub(in crate::runner) fn new() -> Self {
        Self(watch::Sender::new(None))
    }

    /// Asks for the stop. The first cause stays, except that a lost lease
    /// overrides every other: the runner may no longer report how the stage ended.
    pub(in crate::runner) fn ask(&self, cause: Cause) {
        self.0.send_if_modified(|current| {
            let news = current.is_none() || (cause == Cause::LeaseLost && *current != Some(cause));
            if news {
                *current = Some(cause);
            }
            news
        });
    }

    pub(in crate::runner) fn cause(&self) -> Option<Cause> {
        *self.0.borrow()
    }

    /// Waits for any stop, graceful or not.
    pub(in crate::runner) async fn asked(&self) {
        self.wait_for(|cause| cause.is_some()).await;
    }

    /// Waits for a stop that leaves no time for a graceful one.
    pub(in crate::runner) async fn at_once(&self) {
        self.wait_for(|cause| *cause == Some(Cause::LeaseLost))
            .await;
    }

    async fn wait_for(&self, condition: impl FnMut(&Option<Cause>) -> bool) {
        // The sender is `self`, so the channel cannot close while this waits.
        let _ = self.0.subscribe().wait_for(condition).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_cause_stays_but_a_lost_lease_overrides() {
        let stop = Stop::new();
        stop.ask(Cause::TimedOut);
        stop.ask(Cause::Cancelled);
        assert_eq!(stop.cause(), Some(Cause::TimedOut));
        stop.ask(Cause::LeaseLost);
        stop.ask(Cause::Cancelled);
        assert_eq!(stop.cause(), Some(Cause::LeaseLost));
    }
}
