//! Quotas of callers: concurrent calls, and calls per second.

use std::{
    borrow::Cow,
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use dashmap::DashMap;
use governor::{
    DefaultDirectRateLimiter, Quota, RateLimiter,
    clock::{Clock, DefaultClock},
};
use parking_lot::Mutex;
use tonic::Status;

use crate::auth::{Authority, Peer, network};

use super::super::{limited::Limit, reason::Reason};

/// How often idle callers are evicted.
const EVICTION_INTERVAL: Duration = Duration::from_secs(60);

/// Refuses calls of a principal beyond its quota. Unauthenticated callers share one quota per
/// network.
pub(super) struct Quotas {
    max_open: usize,
    per_second: Option<NonZeroU32>,
    callers: DashMap<String, Arc<Calls>>,
    last_eviction: Mutex<Instant>,
}

/// The calls of a caller.
#[derive(Debug)]
struct Calls {
    open: AtomicUsize,
    rate: Option<DefaultDirectRateLimiter>,
    /// Whether a call was made since the last eviction.
    is_recent: AtomicBool,
}

impl Quotas {
    pub(super) fn new(max_open: usize, per_second: Option<u32>) -> Self {
        Self {
            max_open,
            per_second: per_second.and_then(NonZeroU32::new),
            callers: DashMap::new(),
            last_eviction: Mutex::new(Instant::now()),
        }
    }

    /// A permit for one more call; none if neither principal nor peer is known.
    pub(super) fn admit(
        &self,
        authority: Option<&Authority>,
        peer: Option<&Peer>,
    ) -> Result<Option<Permit>, Status> {
        let caller = caller(authority, peer);
        caller.map(|caller| self.acquire(&caller)).transpose()
    }

    fn acquire(&self, caller: &str) -> Result<Permit, Status> {
        let calls = self.calls_of(caller);
        calls.is_recent.store(true, Ordering::Relaxed);
        if let Some(rate) = &calls.rate
            && let Err(early) = rate.check()
        {
            let wait = early.wait_time_from(DefaultClock::default().now());
            return Err(self.too_many_requests(caller, wait));
        }
        // Increment before the check, so that two calls cannot both take the last permit. On
        // refusal the permit's drop decrements the count.
        let permit = Permit(calls);
        if permit.0.open.fetch_add(1, Ordering::Relaxed) >= self.max_open {
            return Err(self.too_many_streams(caller));
        }
        Ok(permit)
    }

    fn calls_of(&self, caller: &str) -> Arc<Calls> {
        if let Some(calls) = self.callers.get(caller) {
            return Arc::clone(&calls);
        }
        self.evict_idle(Instant::now());
        let entry = self.callers.entry(caller.to_owned());
        let calls = entry.or_insert_with(|| {
            let rate = self.per_second.map(Quota::per_second);
            Arc::new(Calls {
                open: AtomicUsize::new(0),
                rate: rate.map(RateLimiter::direct),
                is_recent: AtomicBool::new(true),
            })
        });
        Arc::clone(&calls)
    }

    /// Evicts callers without open or recent calls. A rate limiter's bucket is full again
    /// after a second, so no state is lost. An entry is not evicted between its lookup and
    /// the increment of its count: the lookup holds a reference, which is checked below.
    fn evict_idle(&self, now: Instant) {
        let mut last_eviction = self.last_eviction.lock();
        if now.duration_since(*last_eviction) < EVICTION_INTERVAL {
            return;
        }
        *last_eviction = now;
        self.callers.retain(|_, calls| {
            let was_recent = calls.is_recent.swap(false, Ordering::Relaxed);
            was_recent || Arc::strong_count(calls) > 1
        });
    }

    fn too_many_streams(&self, caller: &str) -> Status {
        let limit = Limit {
            reason: Reason::TooManyStreams,
            setting: "max_streams_per_principal",
            limit: self.max_open as u64,
        };
        let message = format!(
            "at most {} calls may be open at the same time",
            self.max_open
        );
        limit.refuse(caller, &message)
    }

    fn too_many_requests(&self, caller: &str, wait: Duration) -> Status {
        let per_second = self.per_second.map_or(0, NonZeroU32::get);
        let limit = Limit {
            reason: Reason::TooManyRequests,
            setting: "max_requests_per_second",
            limit: per_second.into(),
        };
        let message = format!("at most {per_second} calls may be made in a second");
        limit.refuse_for(caller, &message, wait)
    }
}

/// Keeps one open call counted until it is dropped.
#[derive(Debug)]
pub(super) struct Permit(Arc<Calls>);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The name under which a call is counted: its principal's or, for an unauthenticated call,
/// that of its network. The two never collide, as no principal's name has a space.
fn caller<'a>(authority: Option<&'a Authority>, peer: Option<&Peer>) -> Option<Cow<'a, str>> {
    match authority {
        Some(authority) => Some(Cow::Borrowed(&authority.principal.name)),
        None => {
            let network = network(peer?.address.ip());
            Some(Cow::Owned(format!("address {network}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_callers_are_evicted_and_busy_ones_are_not() {
        let quotas = Quotas::new(2, Some(10));
        let busy = quotas.acquire("busy").ok();
        drop(quotas.acquire("idle").ok());
        let mut now = Instant::now();
        for expected in [2, 1] {
            now += EVICTION_INTERVAL;
            quotas.evict_idle(now);
            assert_eq!(quotas.callers.len(), expected);
        }
        drop(busy);
        quotas.evict_idle(now + EVICTION_INTERVAL);
        assert!(quotas.callers.is_empty());
    }

    #[test]
    fn a_call_that_ends_frees_its_permit() {
        let quotas = Quotas::new(1, None);
        let first = quotas.acquire("a").ok();
        assert!(quotas.acquire("a").is_err());
        assert!(quotas.acquire("b").is_ok());
        drop(first);
        assert!(quotas.acquire("a").is_ok());
    }
}
