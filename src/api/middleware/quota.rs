//! How much a caller may call: so many calls at once, so many in a second.

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

/// How often callers are forgotten who have not called since the last time.
const FORGET_EVERY: Duration = Duration::from_secs(60);

/// Refuses what a principal calls beyond its quota. Those who need not be known have one
/// quota a network.
pub(super) struct Quotas {
    max_open: usize,
    per_second: Option<NonZeroU32>,
    callers: DashMap<String, Arc<Calls>>,
    forgot: Mutex<Instant>,
}

/// The calls of a caller.
#[derive(Debug)]
struct Calls {
    open: AtomicUsize,
    rate: Option<DefaultDirectRateLimiter>,
    /// Whether there was one since it was last thought of forgetting them.
    is_recent: AtomicBool,
}

impl Quotas {
    /// Quotas that allow every caller so many calls at once and in a second.
    pub(super) fn new(max_open: usize, per_second: Option<u32>) -> Self {
        Self {
            max_open,
            per_second: per_second.and_then(NonZeroU32::new),
            callers: DashMap::new(),
            forgot: Mutex::new(Instant::now()),
        }
    }

    /// A place for one more call; none if nothing is known of who makes it.
    pub(super) fn admit(
        &self,
        authority: Option<&Authority>,
        peer: Option<&Peer>,
    ) -> Result<Option<Place>, Status> {
        let caller = caller(authority, peer);
        caller.map(|caller| self.place_of(&caller)).transpose()
    }

    fn place_of(&self, caller: &str) -> Result<Place, Status> {
        let calls = self.calls_of(caller);
        calls.is_recent.store(true, Ordering::Relaxed);
        if let Some(rate) = &calls.rate
            && let Err(early) = rate.check()
        {
            let wait = early.wait_time_from(DefaultClock::default().now());
            return Err(self.too_many_requests(caller, wait));
        }
        // Counted first, so that no two take the last place.
        let place = Place(calls);
        if place.0.open.fetch_add(1, Ordering::Relaxed) >= self.max_open {
            return Err(self.too_many_streams(caller));
        }
        Ok(place)
    }

    fn calls_of(&self, caller: &str) -> Arc<Calls> {
        if let Some(calls) = self.callers.get(caller) {
            return Arc::clone(&calls);
        }
        self.forget(Instant::now());
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

    /// Forgets who has no call open and made none for a while. A bucket is full again
    /// after a second, so nothing is lost. Nobody can be in between finding theirs
    /// and taking a place in it: whoever has found it holds it.
    fn forget(&self, now: Instant) {
        let mut forgot = self.forgot.lock();
        if now.duration_since(*forgot) < FORGET_EVERY {
            return;
        }
        *forgot = now;
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
        let message = format!("at most {} calls may be open at once", self.max_open);
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

/// The place of one call among the open ones.
#[derive(Debug)]
pub(super) struct Place(Arc<Calls>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Under which name a call is counted: its principal's, or that of its network if nobody
/// has to be known for it. No principal has a space in its name.
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
    fn the_idle_are_forgotten_and_the_busy_are_not() {
        let quotas = Quotas::new(2, Some(10));
        let busy = quotas.place_of("busy").ok();
        drop(quotas.place_of("idle").ok());
        let mut now = Instant::now();
        for expected in [2, 1] {
            now += FORGET_EVERY;
            quotas.forget(now);
            assert_eq!(quotas.callers.len(), expected);
        }
        drop(busy);
        quotas.forget(now + FORGET_EVERY);
        assert!(quotas.callers.is_empty());
    }

    #[test]
    fn a_place_is_free_again_when_its_call_ends() {
        let quotas = Quotas::new(1, None);
        let first = quotas.place_of("a").ok();
        assert!(quotas.place_of("a").is_err());
        assert!(quotas.place_of("b").is_ok());
        drop(first);
        assert!(quotas.place_of("a").is_ok());
    }
}
