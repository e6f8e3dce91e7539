use std::sync::Arc;

use crate::store::{
    Batch, CommitError, DueWrite, Limit, OverLimit, PipelineWrite, RecordWrite, Write,
};

use super::{
    super::{
        MemoryStore,
        ledger::Owner,
        weights::{answer_weight, events_weight, record_weight, stages_weight, work_weight},
    },
    scopes::Locked,
};

impl Locked<'_> {
    /// Whether the accounts stay within the batch's limits.
    pub(super) fn check_limits(
        &self,
        store: &MemoryStore,
        batch: &Batch,
    ) -> Result<(), CommitError> {
        if batch.limits.is_empty() {
            return Ok(());
        }
        let mut added = Vec::with_capacity(batch.writes.len() + 1);
        added.extend(batch.writes.iter().filter_map(|write| self.added(write)));
        if let Some((key, kept)) = &batch.answer {
            added.push((Owner::of_answer(key), answer_weight(key, kept)));
        }
        let ledger = store.ledger.lock();
        for limit in &batch.limits {
            let Limit { account, bytes } = limit;
            let counts = |(owner, _): &&(Owner<'_>, u64)| owner.counts_for(account);
            let added = added.iter().filter(counts);
            let added = added.map(|(_, weight)| weight).sum();
            let used = ledger.used(account);
            if added > 0 && used.saturating_add(added) > *bytes {
                return Err(CommitError::OverLimit(OverLimit {
                    limit: limit.clone(),
                    used,
                    added,
                }));
            }
        }
        Ok(())
    }

    /// What a write adds, and to whom. What it frees does not count.
    fn added<'w>(&self, write: &'w Write) -> Option<(Owner<'w>, u64)> {
        Some(match write {
            Write::Pipeline(PipelineWrite::Create(pipeline)) => {
                let shared = stages_weight(pipeline) + pipeline.graph.weight();
                (Owner::of_pipeline(pipeline), pipeline.weight() + shared)
            }
            Write::Pipeline(PipelineWrite::Revise(pipeline, _)) => {
                let entry = self.pipeline(pipeline.id);
                let before = entry.map(|entry| &entry.pipeline);
                let mut weight = pipeline.weight();
                let shares =
                    |stages| before.is_some_and(|old| Arc::ptr_eq(&old.spec.stages, stages));
                if !shares(&pipeline.spec.stages) {
                    weight += stages_weight(pipeline) + pipeline.graph.weight();
                }
                (Owner::of_pipeline(pipeline), weight)
            }
            Write::Job(write) => (Owner::of_job(&write.job), events_weight(&write.events)),
            Write::Record(RecordWrite::Put(collection, record)) => {
                let records = self.records.as_ref().map(|records| records.get());
                let old = records.and_then(|records| records.get(collection, &record.key));
                let more = record_weight(record).saturating_sub(old.map_or(0, record_weight));
                (Owner::of_record(record), more)
            }
            Write::Due(DueWrite::Add(work)) => (Owner::of_work(), work_weight(work)),
            Write::Facts(facts) => (Owner::of_facts(facts), facts.weight()),
            Write::Pipeline(
                PipelineWrite::AddJob(..)
                | PipelineWrite::Delete(..)
                | PipelineWrite::ForgetRevisions(..),
            )
            | Write::Lease(_)
            | Write::Record(RecordWrite::Delete(..))
            | Write::Due(DueWrite::Done(..) | DueWrite::Again(..) | DueWrite::Cancel(_))
            | Write::RemoveJob(_) => return None,
        })
    }
}
