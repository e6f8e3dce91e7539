use std::{collections::HashMap, net::IpAddr, time::Duration};

use parking_lot::Mutex;
use tokio::time::Instant;

use super::network;

const PERIOD: Duration = Duration::from_secs(60);
/// Bound on the addresses in the table.
const MOST_ADDRESSES: usize = 65_536;

/// Rate limit of wrong credentials per address: a token bucket that refills within a
/// minute.
///
/// A token is taken before the credential is checked, and returned if it was valid. If it
/// were taken afterwards, a thousand concurrent guesses would all pass. If it were not
/// returned, a busy address with many users would run out without any wrong credential.
/// (That is why this is no limiter of `governor`, which cannot return a token.)
#[derive(Debug)]
pub(super) struct Failures {
    limit: u32,
    /// When the bucket of each will be full again.
    full_at: Mutex<HashMap<Bucket, Instant>>,
}

/// Failures are counted by address and kind. Wrong tokens do not count as wrong passwords,
/// so a runner with an old token does not lock out the users behind the same address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Bucket {
    pub(super) of: Of,
    /// None if the address is unknown; such callers share a bucket.
    pub(super) address: Option<IpAddr>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Of {
    Password,
    Other,
}

/// The bucket is empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Empty {
    pub(super) retry_after: Duration,
    pub(super) limit: u32,
}

impl Failures {
    /// `limit` is per minute; 0 counts as 1.
    pub(super) fn new(limit: u32) -> Self {
        Self {
            limit: limit.max(1),
            full_at: Mutex::default(),
        }
    }

    /// Takes a token from the bucket before a check that may fail.
    pub(super) fn take(&self, of: Of, address: Option<IpAddr>) -> Result<Bucket, Empty> {
        let address = address.map(network);
        let bucket = Bucket { of, address };
        let now = Instant::now();
        let mut full_at = self.full_at.lock();
        if !full_at.contains_key(&bucket) {
            make_room(&mut full_at, now);
        }
        let full = full_at.entry(bucket).or_insert(now);
        let then = (*full).max(now) + PERIOD / self.limit;
        let retry_after = then.saturating_duration_since(now + PERIOD);
        if !retry_after.is_zero() {
            let limit = self.limit;
            return Err(Empty { retry_after, limit });
        }
        *full = then;
        Ok(bucket)
    }

    /// Returns the token after a check that succeeded.
    pub(super) fn give_back(&self, bucket: Bucket) {
        if let Some(full) = self.full_at.lock().get_mut(&bucket) {
            *full -= PERIOD / self.limit;
        }
    }
}

/// Evicts full buckets and, if that is not enough, all: a client with so many addresses
/// is limited by how many passwords are checked concurrently, not by this.
fn make_room(full_at: &mut HashMap<Bucket, Instant>, now: Instant) {
    if full_at.len() < MOST_ADDRESSES {
        return;
    }
    full_at.retain(|_, full| *full > now);
    if full_at.len() > MOST_ADDRESSES / 2 {
        full_at.clear();
    }
}

#[cfg(test)]
mod tests {
    use tokio::time;

    use super::*;

    fn at(address: &str) -> Option<IpAddr> {
        Some(address.parse().unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn so_many_a_minute_and_no_more() {
        let failures = Failures::new(3);
        let take = || failures.take(Of::Password, at("10.0.0.1"));
        for _ in 0..3 {
            take().unwrap();
        }
        let empty = take().unwrap_err();
        assert_eq!(empty.retry_after, Duration::from_secs(20));
        assert_eq!(empty.limit, 3);
        time::advance(Duration::from_secs(19)).await;
        assert_eq!(take().unwrap_err().retry_after, Duration::from_secs(1));
        time::advance(Duration::from_secs(1)).await;
        let last = take().unwrap();
        take().unwrap_err();
        failures.give_back(last);
        take().unwrap();
        time::advance(Duration::from_secs(3600)).await;
        for _ in 0..3 {
            take().unwrap();
        }
        take().unwrap_err();
    }

    #[tokio::test(start_paused = true)]
    async fn each_network_and_each_kind_has_its_own() {
        let failures = Failures::new(1);
        let take = |of, address| failures.take(of, address).is_ok();
        assert!(take(Of::Password, at("10.0.0.1")));
        assert!(take(Of::Password, at("10.0.0.2")));
        assert!(!take(Of::Password, at("::ffff:10.0.0.1")));
        assert!(take(Of::Other, at("10.0.0.1")));
        assert!(take(Of::Password, at("2001:db8::1")));
        assert!(!take(Of::Password, at("2001:db8::ffff:0:0:1")));
        assert!(take(Of::Password, at("2001:db8:0:1::1")));
        assert!(take(Of::Password, None));
        assert!(!take(Of::Password, None));
    }

    #[tokio::test(start_paused = true)]
    async fn memory_is_bounded() {
        let failures = Failures::new(1);
        for number in 0..=u32::try_from(MOST_ADDRESSES).unwrap() {
            let address = IpAddr::V4(number.into());
            failures.take(Of::Password, Some(address)).unwrap();
        }
        assert!(failures.full_at.lock().len() <= MOST_ADDRESSES);
    }
}
