use std::{sync::Arc, time::SystemTime};

use tokio_util::sync::CancellationToken;

use super::{Grants, Principal};

/// A caller, for as long as what it showed is good. Calls with the same credential
/// share one.
#[derive(Debug)]
pub struct Session {
    /// Who calls.
    pub principal: Arc<Principal>,
    /// Fires within about a second when the credential is taken away, changed, given
    /// other roles, or over its time: what is still open for the caller then ends.
    pub ended: CancellationToken,
    /// When the credential is over, if ever.
    pub expire_time: Option<SystemTime>,
}

impl Session {
    pub(super) fn new(principal: Principal, expire_time: Option<SystemTime>) -> Arc<Self> {
        Arc::new(Self {
            principal: Arc::new(principal),
            ended: CancellationToken::new(),
            expire_time,
        })
    }

    /// One that may do everything and does not end.
    pub(super) fn of_everybody(name: &str) -> Arc<Self> {
        let principal = Principal {
            name: name.to_owned(),
            grants: Grants::everything(),
        };
        Self::new(principal, None)
    }

    /// Whether it is over by this time.
    pub(super) fn is_over(&self, now: SystemTime) -> bool {
        self.ended.is_cancelled() || self.expire_time.is_some_and(|end| end <= now)
    }
}
