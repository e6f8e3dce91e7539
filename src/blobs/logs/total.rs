//! The limit on the bytes of all logs together.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use parking_lot::Mutex;
use tracing::{info, warn};

use super::log::Log;

/// Limits the bytes of all logs of a service: those that ended first expire
/// first. Logs that are still written to stay, whatever their size.
pub(super) struct Total {
    limit: u64,
    /// Bytes in the segments of all logs; each log counts its own. The files beside the
    /// segments, for gaps and times, are bounded for each log and not counted.
    pub(super) bytes: Arc<AtomicU64>,
    idle: Mutex<Idle>,
}

/// The logs that may expire, in the order in which they will.
#[derive(Default)]
struct Idle {
    logs: BTreeMap<u64, Arc<Log>>,
    next: u64,
}

impl Total {
    pub(super) fn new(limit: u64) -> Self {
        Self {
            limit,
            bytes: Arc::default(),
            idle: Mutex::default(),
        }
    }

    /// Bytes in the segments of all logs.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Adds a log of an earlier process, which is taken to have ended.
    pub(super) fn found(&self, log: &Arc<Log>) {
        log.set_found(self.idle.lock().insert(log));
    }

    /// Opens a log that was found, for an append: until it ends it does not expire.
    pub(super) fn resume(&self, log: &Log) {
        if let Some(order) = log.resume() {
            self.idle.lock().logs.remove(&order);
        }
    }

    /// Ends a log. Blocks, as all of these do.
    pub(super) fn end(&self, log: &Arc<Log>) {
        self.resume(log);
        // Inserted first: a log that is forgotten concurrently refuses to end, and is
        // removed again.
        let order = self.idle.lock().insert(log);
        if !log.end(order) {
            self.idle.lock().logs.remove(&order);
        }
        self.keep_to_limit();
    }

    /// Forgets a log; its files are the caller's to remove.
    pub(super) fn forget(&self, log: &Log) {
        if let Some(order) = log.forget() {
            self.idle.lock().logs.remove(&order);
        }
    }

    /// Lets the oldest logs expire while the total exceeds the limit.
    pub(super) fn keep_to_limit(&self) {
        while self.bytes() > self.limit {
            let oldest = self.idle.lock().logs.pop_first();
            let Some((order, log)) = oldest else { return };
            // Not one that is concurrently reopened or forgotten.
            if !log.expire(order) {
                continue;
            }
            match log.remove_files() {
                Ok(()) => info!("a log has expired, as all logs were over their limit"),
                Err(error) => warn!(%error, "an expired log is left behind"),
            }
        }
    }
}

impl Idle {
    fn insert(&mut self, log: &Arc<Log>) -> u64 {
        let order = self.next;
        self.next += 1;
        self.logs.insert(order, Arc::clone(log));
        order
    }
}
