//! What the store's rows take in memory. The values themselves are weighed in `domain::weight`.

use crate::{
    domain::{Event, Pipeline, weight},
    store::{Answer, DueWork, KeptAnswer, Record, RequestKey},
};

pub(super) fn stages_weight(pipeline: &Pipeline) -> u64 {
    let stages = pipeline.spec.stages.iter();
    stages.map(|stage| stage.weight()).sum()
}

pub(super) fn events_weight(events: &[Event]) -> u64 {
    events.iter().map(Event::weight).sum()
}

/// A record: its places in the tree of keys and in the one of each index.
pub(super) fn record_weight(record: &Record) -> u64 {
    const ROW: u64 = 256;
    const PLACE: u64 = 96;
    let key = weight::text(&record.key);
    let index = |(_, value): &(&str, String)| PLACE + key + 2 * weight::text(value);
    let indexes: u64 = record.indexes.iter().map(index).sum();
    ROW + 3 * key
        + weight::text(&record.project)
        + weight::text(&record.principal)
        + record.body.len() as u64
        + indexes
}

/// An idempotency record: its place in the map and in the order of age.
pub(super) fn answer_weight(key: &RequestKey, kept: &KeptAnswer) -> u64 {
    const ROW: u64 = 256;
    let named = match &kept.answer {
        Answer::Project(name, _) => weight::text(name),
        Answer::Nothing | Answer::Pipeline(..) | Answer::Job(..) => 0,
    };
    ROW + weight::text(&key.principal) + weight::text(&key.method) + named
}

/// Due work: its places in the tree of keys, in the order of times and in its group.
pub(super) fn work_weight(work: &DueWork) -> u64 {
    const ROW: u64 = 384;
    let order_key = work.order_key.as_deref().map_or(0, weight::text);
    ROW + 4 * weight::text(&work.key.key) + 2 * order_key + work.body.len() as u64
}
