use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::SystemTime,
};

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
    /// Shared by what [`until`](Self::until) makes of it.
    pub(super) id: u64,
}

impl Session {
    pub(crate) fn new(principal: Principal, expire_time: Option<SystemTime>) -> Arc<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Arc::new(Self {
            principal: Arc::new(principal),
            ended: CancellationToken::new(),
            expire_time,
            id: NEXT.fetch_add(1, Ordering::Relaxed),
        })
    }

    /// The same session, whose credential is over at another time.
    pub(super) fn until(&self, expire_time: Option<SystemTime>) -> Arc<Self> {
        Arc::new(Self {
            principal: Arc::clone(&self.principal),
            ended: self.ended.clone(),
            expire_time,
            id: self.id,
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
