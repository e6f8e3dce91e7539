use std::{collections::HashMap, future::Future, sync::Arc};

use parking_lot::Mutex;
use tokio::sync::OnceCell;

use super::{AuthError, Session, cache::CacheKey};

type Answer = Result<Arc<Session>, AuthError>;
type Flight = Arc<OnceCell<Answer>>;

/// Coalesces concurrent checks of the same password. A client that opens a hundred calls
/// at the same time causes one check, not a hundred, most of which the limits would refuse.
#[derive(Debug, Default)]
pub(super) struct SingleFlight(Mutex<HashMap<CacheKey, Flight>>);

impl SingleFlight {
    /// The result of the running check of this credential; without one, runs `check`.
    pub(super) async fn join<F: Future<Output = Answer>>(
        &self,
        key: CacheKey,
        check: impl FnOnce() -> F,
    ) -> Answer {
        let flight = Arc::clone(self.0.lock().entry(key).or_default());
        let seat = Seat {
            single_flight: self,
            key,
            flight,
        };
        // If the call that runs the check is dropped, the next waiting call runs it.
        seat.flight.get_or_init(check).await.clone()
    }
}

/// The last holder removes the entry, after an answer or because the call was dropped.
struct Seat<'a> {
    single_flight: &'a SingleFlight,
    key: CacheKey,
    flight: Flight,
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        let mut single_flight = self.single_flight.0.lock();
        // A check with an answer accepts no more calls: if it was valid, the cache has it.
        // Others join only under the lock, so two holders are this one and the map.
        let is_last = self.flight.initialized() || Arc::strong_count(&self.flight) <= 2;
        let is_listed = single_flight
            .get(&self.key)
            .is_some_and(|listed| Arc::ptr_eq(listed, &self.flight));
        if is_last && is_listed {
            single_flight.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use futures_util::{future::join_all, poll};

    use super::*;

    const KEY: CacheKey = [1; 32];

    #[tokio::test]
    async fn one_check_answers_all_who_wait_for_it() {
        let single_flight = SingleFlight::default();
        let checks = Cell::new(0);
        let check = async || {
            checks.set(checks.get() + 1);
            tokio::task::yield_now().await;
            Ok(Session::unrestricted("x"))
        };
        let answers = join_all((0..9).map(|_| single_flight.join(KEY, check))).await;
        assert!(answers.iter().all(Result::is_ok));
        assert_eq!(checks.get(), 1);
        assert!(single_flight.0.lock().is_empty());
        single_flight.join(KEY, check).await.unwrap();
        assert_eq!(checks.get(), 2);
    }

    #[tokio::test]
    async fn a_check_that_is_dropped_is_begun_again() {
        let single_flight = SingleFlight::default();
        let mut first = Box::pin(single_flight.join(KEY, std::future::pending));
        assert!(poll!(&mut first).is_pending());
        let mut second = Box::pin(single_flight.join(KEY, async || Err(AuthError::Invalid)));
        assert!(poll!(&mut second).is_pending());
        drop(first);
        assert_eq!(second.await.unwrap_err(), AuthError::Invalid);
        assert!(single_flight.0.lock().is_empty());

        let mut last = Box::pin(single_flight.join(KEY, std::future::pending));
        assert!(poll!(&mut last).is_pending());
        drop(last);
        assert!(single_flight.0.lock().is_empty());
    }
}
