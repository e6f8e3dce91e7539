//! The whole store as stored forms, and the store that they make: what a crash and a start
//! mean to a durable one, without a disk.

mod read;
mod restore;
mod take;

use std::collections::BTreeSet;

use parking_lot::Mutex;

use crate::{
    domain::JobId,
    store::{BatchId, RequestKey, StoreError, codec::CodecError},
};

/// All rows of a store, each of them encoded. The store must not be written to while it is
/// taken.
#[derive(Clone)]
pub struct Snapshot {
    instance: Row,
    /// Counters of the pipelines.
    heads: Vec<Row>,
    durations: Vec<Row>,
    /// Also those of which only jobs are left.
    revisions: Vec<Row>,
    /// The events of each job.
    jobs: Vec<Vec<Row>>,
    runners: Vec<Row>,
    leases: Vec<Row>,
    /// Of each job in their order.
    bindings: Vec<(JobId, Vec<Row>)>,
    lost: Vec<(JobId, Vec<Row>)>,
    records: Vec<Row>,
    /// In the order of their claims.
    due: Vec<Row>,
    /// The oldest first.
    answers: Vec<(RequestKey, Row)>,
    facts: Vec<Row>,
    /// The oldest first.
    batches: Vec<BatchId>,
}

pub(in crate::store) use restore::Restorer;

type Row = Vec<u8>;

pub(in crate::store) fn damaged(error: CodecError) -> StoreError {
    StoreError::permanent("a stored row cannot be read", error)
}

/// A name of the program that is read from a row: collections, indexes and kinds of work are
/// few, and each is kept once for good.
pub(in crate::store) fn name(text: String) -> &'static str {
    static NAMES: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let mut names = NAMES.lock();
    match names.get(text.as_str()) {
        Some(name) => name,
        None => {
            let name: &'static str = Box::leak(text.into_boxed_str());
            names.insert(name);
            name
        }
    }
}
