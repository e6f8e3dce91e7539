//! A cache of encoded pipelines, one entry per revision. A revision is immutable, so no entry
//! is ever invalidated.

use std::time::SystemTime;

use bytes::Bytes;
use quick_cache::{Weighter, sync::Cache};

use crate::{
    domain::{Pipeline, PipelineId},
    proto::pipeline_entry,
};

/// The capacity of the cache. Beyond it, the entries that are read least are evicted.
const MAX_BYTES: u64 = 32 * 1024 * 1024;
/// Bytes of an entry besides the encoded pipeline, approximately.
const OVERHEAD: u64 = 128;

/// With the time of the revision: if a write fails, its number is given to another one.
type Revision = (PipelineId, i64, SystemTime);

/// The encoded revisions that were recently read.
pub(super) struct EncodedPipelines(Cache<Revision, Bytes, Size>);

#[derive(Clone)]
struct Size;

impl Weighter<Revision, Bytes> for Size {
    fn weight(&self, _: &Revision, entry: &Bytes) -> u64 {
        entry.len() as u64 + OVERHEAD
    }
}

impl EncodedPipelines {
    pub(super) fn new() -> Self {
        const EXPECTED: usize = 10_000;
        Self(Cache::with_weighter(EXPECTED, MAX_BYTES, Size))
    }

    /// Encodes a revision that was just created, as [`entry`](Self::entry) does. It is cached
    /// only once it is read: under a load of creates, every insertion also evicts an entry.
    pub(super) fn created(pipeline: &Pipeline) -> Bytes {
        pipeline_entry(pipeline)
    }

    /// The pipeline encoded as field 1 of a message: the response to a get, a create or an
    /// update, or one item of a page.
    pub(super) fn entry(&self, pipeline: &Pipeline) -> Bytes {
        let key = (pipeline.id, pipeline.revision, pipeline.update_time);
        self.0.get(&key).unwrap_or_else(|| {
            let entry = pipeline_entry(pipeline);
            self.0.insert(key, entry.clone());
            entry
        })
    }
}
