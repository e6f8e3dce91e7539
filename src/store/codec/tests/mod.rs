//! That forms stay what they are, and that nothing of a value is lost in one.

mod arbitrary;
mod damage;
mod golden;
mod properties;
mod samples;

use std::sync::Arc;

use crate::domain::{Pipeline, PipelineId};

/// Finds this one revision.
fn only(pipeline: &Arc<Pipeline>) -> impl Fn(PipelineId, i64) -> Option<Arc<Pipeline>> + use<> {
    let pipeline = Arc::clone(pipeline);
    move |id, revision| {
        let is_it = (id, revision) == (pipeline.id, pipeline.revision);
        is_it.then(|| Arc::clone(&pipeline))
    }
}
