use tokio::time::Instant;
use uuid::Uuid;

use crate::{
    domain::lease::LeaseProof,
    domain::{FencingToken, Holder, JobId, LeaseId, RunKey, RunnerId},
    store::ReadyStage,
};

/// A stage that was given out.
#[derive(Clone, Copy, Debug)]
pub(in crate::engine) struct LiveLease {
    pub(in crate::engine) job_id: JobId,
    pub(in crate::engine) run: RunKey,
    pub(in crate::engine) holder: Holder,
    /// The call that got it.
    pub(in crate::engine) request_id: Uuid,
    /// The runner was told that it has the job's workspace.
    pub(in crate::engine) workspace_exists: bool,
    pub(in crate::engine) state: LeaseState,
    /// Void from here on, unless it is renewed.
    pub(in crate::engine) expires: Instant,
    /// The service's own end of the stage, which no renewal moves.
    pub(in crate::engine) ends_by: Option<Instant>,
    /// That end has come.
    pub(in crate::engine) overran: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) enum LeaseState {
    /// Given out; nothing may have been started.
    Offered,
    Confirmed,
    /// Over, and remembered for a while: its end may be told again.
    Ended,
    /// No write is taken any more; its stage has yet to be given up.
    Void,
}

impl LiveLease {
    /// For a stage that was claimed for a runner and that the runner never got.
    pub(in crate::engine) fn never_given(
        ready: ReadyStage,
        runner_id: RunnerId,
        now: Instant,
    ) -> Self {
        let ReadyStage { job_id, run } = ready;
        // No lease that is given out has this token.
        let token = FencingToken(0);
        Self {
            job_id,
            run,
            holder: Holder { runner_id, token },
            request_id: Uuid::nil(),
            workspace_exists: false,
            state: LeaseState::Void,
            expires: now,
            ends_by: None,
            overran: false,
        }
    }

    pub(in crate::engine) fn is_live(&self, now: Instant) -> bool {
        let held = matches!(self.state, LeaseState::Offered | LeaseState::Confirmed);
        held && now < self.due()
    }

    pub(super) fn due(&self) -> Instant {
        self.ends_by
            .map_or(self.expires, |ends_by| ends_by.min(self.expires))
    }

    pub(super) fn proof(&self, lease_id: LeaseId) -> LeaseProof {
        LeaseProof {
            lease_id,
            token: self.token(),
        }
    }

    fn token(&self) -> FencingToken {
        self.holder.token
    }
}
