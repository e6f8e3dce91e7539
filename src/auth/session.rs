use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::SystemTime,
};

use tokio_util::sync::CancellationToken;

use super::{Grants, Principal};

/// An authenticated caller, while its credential is valid. Calls with the same credential
/// share a session.
#[derive(Debug)]
pub struct Session {
    pub principal: Arc<Principal>,
    /// Cancelled within about a second after the credential is revoked, changed, given
    /// other roles or expired: calls of the caller that are still open then end.
    pub ended: CancellationToken,
    /// When the credential expires, if ever.
    pub expire_time: Option<SystemTime>,
    /// Shared by the sessions that [`until`](Self::until) derives from it.
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

    /// The same session with another expiry.
    pub(super) fn until(&self, expire_time: Option<SystemTime>) -> Arc<Self> {
        Arc::new(Self {
            principal: Arc::clone(&self.principal),
            ended: self.ended.clone(),
            expire_time,
            id: self.id,
        })
    }

    /// A session with all roles that does not end.
    pub(super) fn unrestricted(name: &str) -> Arc<Self> {
        let principal = Principal {
            name: name.to_owned(),
            grants: Grants::everything(),
        };
        Self::new(principal, None)
    }

    /// Whether the credential has expired by this time.
    pub(super) fn is_over(&self, now: SystemTime) -> bool {
        self.ended.is_cancelled() || self.expire_time.is_some_and(|end| end <= now)
    }
}
