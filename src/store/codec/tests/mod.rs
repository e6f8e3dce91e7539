//! Forms stay as they are, and no form loses a part of a value.

mod arbitrary;
mod damage;
mod golden;
mod properties;
mod samples;

use std::sync::Arc;

use crate::domain::{Pipeline, PipelineId};

/// A lookup that finds this one revision only.
fn only(pipeline: &Arc<Pipeline>) -> impl Fn(PipelineId, i64) -> Option<Arc<Pipeline>> + use<> {
    let pipeline = Arc::clone(pipeline);
    move |id, revision| {
        let is_it = (id, revision) == (pipeline.id, pipeline.revision);
        is_it.then(|| Arc::clone(&pipeline))
    }
}
