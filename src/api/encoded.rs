//! Pipelines as clients see them, encoded once for each revision: a revision never changes.

use bytes::Bytes;
use quick_cache::{Weighter, sync::Cache};

use crate::{
    domain::{Pipeline, PipelineId},
    proto::pipeline_entry,
};

/// Bytes of encoded pipelines that are kept: 32 MiB. Beyond it those go that are asked for
/// least.
const MAX_BYTES: u64 = 32 * 1024 * 1024;
/// What an encoded pipeline takes besides its bytes, about.
const OVERHEAD: u64 = 128;

type Revision = (PipelineId, i64);

/// The encoded revisions that somebody asked for lately.
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

    /// A revision that was just created, as [`entry`](Self::entry). It is not cached before
    /// it is read: under a load of creates every insertion is an eviction, too.
    pub(super) fn created(pipeline: &Pipeline) -> Bytes {
        pipeline_entry(pipeline)
    }

    /// The pipeline as field 1 of a message: the response to a get, a create and an update,
    /// and a part of a page.
    pub(super) fn entry(&self, pipeline: &Pipeline) -> Bytes {
        let key = (pipeline.id, pipeline.revision);
        self.0.get(&key).unwrap_or_else(|| {
            let entry = pipeline_entry(pipeline);
            self.0.insert(key, entry.clone());
            entry
        })
    }
}
