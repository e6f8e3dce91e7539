//! The store that lives as long as its process.
//!
//! Keyed look-ups are DashMaps whose values have locks of their own, so that no
//! guard of a shard is held while two scopes are locked. What spans keys has an
//! ordered index of its own: a page costs as much as the page is long.

mod answers;
mod commit;
mod index;
mod ready;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Weak},
    time::SystemTime,
};

use async_trait::async_trait;
use dashmap::DashMap;
use parking_lot::{Mutex, RwLock};

use crate::domain::{
    Bindings, Event, Job, JobId, Pipeline, PipelineId, RunnerId, StageRun, StageState,
};

use super::{
    Batch, Claim, CommitError, JobFilter, KeptAnswer, PipelineFilter, PipelineState, ReadyStage,
    RequestKey, Store, StoreError,
};
use answers::Answers;
use index::{JobIndex, PipelineIndex};
use ready::ReadyQueue;

/// Keeps everything in memory; what it acknowledged is lost with the process.
///
/// Locks are taken in one order: a pipeline, its jobs by id, the answers, a name,
/// then any one index at a time.
#[derive(Default)]
pub struct MemoryStore {
    pipelines: DashMap<PipelineId, Arc<Mutex<PipelineEntry>>>,
    jobs: DashMap<JobId, Arc<Mutex<JobEntry>>>,
    /// Project and name to pipeline.
    names: DashMap<(String, String), PipelineId>,
    pipeline_index: RwLock<PipelineIndex>,
    job_index: RwLock<JobIndex>,
    ended: RwLock<BTreeSet<(SystemTime, JobId)>>,
    ready: Mutex<ReadyQueue>,
    answers: Mutex<Answers>,
}

struct PipelineEntry {
    pipeline: Arc<Pipeline>,
    /// Jobs that have not ended, by their numbers.
    active_jobs: BTreeMap<i64, JobId>,
    jobs_created: i64,
    version: u64,
    /// Whoever waited for the lock while the pipeline was deleted sees this.
    deleted: bool,
    /// Older revisions.
    revisions: BTreeMap<i64, Arc<Pipeline>>,
    /// Still older ones, each of which goes with the last job that runs it.
    with_their_jobs: BTreeMap<i64, Weak<Pipeline>>,
    /// How many of those there may be before the ones that are gone are looked for.
    sweep_at: usize,
}

struct JobEntry {
    job: Arc<Job>,
    events: Vec<Event>,
}

impl MemoryStore {
    /// Looks an entry up and lets go of the map's shard before anybody locks it.
    fn pipeline_entry(&self, id: PipelineId) -> Option<Arc<Mutex<PipelineEntry>>> {
        self.pipelines.get(&id).map(|entry| Arc::clone(&entry))
    }

    fn job_entry(&self, id: JobId) -> Option<Arc<Mutex<JobEntry>>> {
        self.jobs.get(&id).map(|entry| Arc::clone(&entry))
    }

    fn newest_revision(&self, id: PipelineId) -> Option<Arc<Pipeline>> {
        let entry = self.pipeline_entry(id)?;
        let pipeline = Arc::clone(&entry.lock().pipeline);
        Some(pipeline)
    }

    fn current_job(&self, id: JobId) -> Option<Arc<Job>> {
        let entry = self.job_entry(id)?;
        let job = Arc::clone(&entry.lock().job);
        Some(job)
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn pipeline(&self, id: PipelineId) -> Result<Option<PipelineState>, StoreError> {
        let state = |entry: Arc<Mutex<PipelineEntry>>| entry.lock().state();
        Ok(self.pipeline_entry(id).map(state))
    }

    async fn active_jobs(&self, id: PipelineId) -> Result<Vec<JobId>, StoreError> {
        let jobs = |entry: Arc<Mutex<PipelineEntry>>| {
            let entry = entry.lock();
            entry.active_jobs.values().copied().collect()
        };
        Ok(self.pipeline_entry(id).map(jobs).unwrap_or_default())
    }

    async fn revision(
        &self,
        id: PipelineId,
        revision: i64,
    ) -> Result<Option<Arc<Pipeline>>, StoreError> {
        let find = |entry: Arc<Mutex<PipelineEntry>>| entry.lock().revision(revision);
        Ok(self.pipeline_entry(id).and_then(find))
    }

    async fn list_pipelines(
        &self,
        filter: &PipelineFilter,
        before: Option<PipelineId>,
        limit: usize,
    ) -> Result<Vec<Arc<Pipeline>>, StoreError> {
        let ids = |before, count| {
            let index = self.pipeline_index.read();
            index.newest_first(filter, before).take(count).collect()
        };
        let pipeline = |id| {
            self.newest_revision(id)
                .filter(|found| filter.matches(found))
        };
        Ok(page(before, limit, ids, pipeline))
    }

    async fn job(&self, id: JobId) -> Result<Option<Arc<Job>>, StoreError> {
        Ok(self.current_job(id))
    }

    async fn events(&self, id: JobId, after: i64) -> Result<Option<Vec<Event>>, StoreError> {
        let Some(entry) = self.job_entry(id) else {
            return Ok(None);
        };
        let entry = entry.lock();
        let seen = usize::try_from(after).unwrap_or(0).min(entry.events.len());
        Ok(Some(entry.events[seen..].to_vec()))
    }

    async fn list_jobs(
        &self,
        filter: &JobFilter,
        before: Option<JobId>,
        limit: usize,
    ) -> Result<Vec<Arc<Job>>, StoreError> {
        let ids = |before, count| {
            let index = self.job_index.read();
            index.newest_first(filter, before).take(count).collect()
        };
        let job = |id| self.current_job(id).filter(|found| filter.matches(found));
        if let (Some(_), Some(projects)) = (filter.pipeline_id, &filter.projects) {
            // All jobs of a pipeline are of one project: the newest tells for all.
            let newest: Vec<JobId> = ids(None, 1);
            let newest = newest.first().and_then(|id| self.current_job(*id));
            if newest.is_none_or(|job| !projects.contains(&job.pipeline.project)) {
                return Ok(Vec::new());
            }
        }
        Ok(page(before, limit, ids, job))
    }

    async fn answer(&self, key: &RequestKey) -> Result<Option<KeptAnswer>, StoreError> {
        Ok(self.answers.lock().get(key).cloned())
    }

    async fn commit(&self, batch: Batch) -> Result<(), CommitError> {
        self.commit_batch(batch)
    }

    async fn claim(&self, claim: &Claim) -> Result<Option<ReadyStage>, StoreError> {
        Ok(self.ready.lock().claim(claim))
    }

    async fn unclaim(&self, stage: ReadyStage) -> Result<(), StoreError> {
        if let Some(entry) = self.job_entry(stage.job_id) {
            // Held until it is back: a cancel in between would find nothing to take out.
            let entry = entry.lock();
            let waits = |run: &&Arc<StageRun>| run.state == StageState::Queued;
            if let Some(run) = entry.job.run(stage.run).filter(waits) {
                self.ready.lock().insert(&entry.job, run);
            }
        }
        Ok(())
    }

    async fn bindings(&self, id: JobId) -> Result<Bindings, StoreError> {
        Ok(self.ready.lock().bindings(id))
    }

    async fn bound_jobs(&self, runner_id: RunnerId) -> Result<Vec<JobId>, StoreError> {
        Ok(self.ready.lock().bound_jobs(runner_id))
    }

    async fn unbind(&self, id: JobId, runner_id: RunnerId) -> Result<(), StoreError> {
        self.ready.lock().unbind(id, runner_id);
        Ok(())
    }

    async fn ready_stages(&self) -> Result<usize, StoreError> {
        Ok(self.ready.lock().len())
    }

    async fn head_of_queue(&self) -> Result<Option<ReadyStage>, StoreError> {
        Ok(self.ready.lock().head())
    }

    async fn expired_jobs(
        &self,
        keep: usize,
        ended_before: SystemTime,
    ) -> Result<Vec<JobId>, StoreError> {
        let ended = self.ended.read();
        let surplus = ended.len().saturating_sub(keep);
        let oldest = ended
            .iter()
            .take(surplus)
            .take_while(|(time, _)| *time < ended_before);
        Ok(oldest.map(|(_, id)| *id).collect())
    }

    async fn remove_job(&self, id: JobId) -> Result<(), StoreError> {
        self.forget_job(id);
        Ok(())
    }
}

impl PipelineEntry {
    fn new(pipeline: Arc<Pipeline>) -> Self {
        Self {
            pipeline,
            active_jobs: BTreeMap::new(),
            jobs_created: 0,
            version: 1,
            deleted: false,
            revisions: BTreeMap::new(),
            with_their_jobs: BTreeMap::new(),
            sweep_at: 0,
        }
    }

    fn state(&self) -> PipelineState {
        PipelineState {
            pipeline: Arc::clone(&self.pipeline),
            active_jobs: self.active_jobs.len(),
            oldest_active_job: self.active_jobs.values().next().copied(),
            jobs_created: self.jobs_created,
            version: self.version,
        }
    }

    fn revision(&self, revision: i64) -> Option<Arc<Pipeline>> {
        if revision == self.pipeline.revision {
            return Some(Arc::clone(&self.pipeline));
        }
        let kept = self.revisions.get(&revision).cloned();
        kept.or_else(|| self.with_their_jobs.get(&revision)?.upgrade())
    }
}

/// Collects a page from an index. The index is let go of before an entry is locked:
/// a commit locks them the other way round.
fn page<Id: Copy, T>(
    mut before: Option<Id>,
    limit: usize,
    ids: impl Fn(Option<Id>, usize) -> Vec<Id>,
    find: impl Fn(Id) -> Option<T>,
) -> Vec<T> {
    let mut found = Vec::new();
    loop {
        let wanted = limit - found.len();
        let candidates = ids(before, wanted);
        found.extend(candidates.iter().filter_map(|id| find(*id)));
        if candidates.len() < wanted || found.len() == limit {
            return found;
        }
        before = candidates.last().copied();
    }
}

#[cfg(test)]
mod tests {
    use super::MemoryStore;

    crate::store::conformance::suite!(MemoryStore::default());
}
