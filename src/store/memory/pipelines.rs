use std::{
    collections::BTreeMap,
    sync::{Arc, Weak},
};

use async_trait::async_trait;
use parking_lot::Mutex;

use crate::domain::{Job, JobId, Pipeline, PipelineId, StageDurations, limits, stage_durations};

use super::{
    super::{PipelineFilter, PipelineState, PipelineStore, StoreError, codec::PipelineHead},
    MemoryStore, page,
};

pub(super) struct PipelineEntry {
    pub(super) pipeline: Arc<Pipeline>,
    /// Jobs that have not ended, by their numbers.
    pub(super) active_jobs: BTreeMap<i64, JobId>,
    pub(super) jobs_created: i64,
    pub(super) version: u64,
    /// For tasks that waited for the lock while the pipeline was deleted.
    pub(super) deleted: bool,
    /// What the stages of the newest job that succeeded took, with its number.
    durations: Option<(i64, Arc<StageDurations>)>,
    /// Older revisions.
    revisions: BTreeMap<i64, Arc<Pipeline>>,
    /// Still older ones, each of which goes with the last job that runs it.
    with_their_jobs: BTreeMap<i64, Weak<Pipeline>>,
    /// How many of those there may be before the ones that are gone are looked for.
    sweep_at: usize,
}

#[async_trait]
impl PipelineStore for MemoryStore {
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

    async fn pipelines_with_held_jobs(&self) -> Result<Vec<PipelineId>, StoreError> {
        // Copied first: no entry is locked under a guard of the map's shard.
        let entries = self.pipelines.iter();
        let entries: Vec<_> = entries
            .map(|entry| (*entry.key(), Arc::clone(entry.value())))
            .collect();
        let is_held = |entry: &Mutex<PipelineEntry>| {
            let oldest = entry.lock().oldest_active_job();
            let oldest = oldest.and_then(|id| self.current_job(id));
            oldest.is_some_and(|job| job.last_sequence == 1)
        };
        let held = entries.into_iter().filter(|(_, entry)| is_held(entry));
        let mut held: Vec<PipelineId> = held.map(|(id, _)| id).collect();
        held.sort_unstable();
        Ok(held)
    }
}

impl MemoryStore {
    fn newest_revision(&self, id: PipelineId) -> Option<Arc<Pipeline>> {
        let entry = self.pipeline_entry(id)?;
        let pipeline = Arc::clone(&entry.lock().pipeline);
        Some(pipeline)
    }
}

impl PipelineEntry {
    pub(super) fn new(pipeline: Arc<Pipeline>) -> Self {
        Self {
            pipeline,
            active_jobs: BTreeMap::new(),
            jobs_created: 0,
            version: 1,
            deleted: false,
            durations: None,
            revisions: BTreeMap::new(),
            with_their_jobs: BTreeMap::new(),
            sweep_at: 0,
        }
    }

    /// The entry of a head and the revisions that are kept; none if the newest is not.
    pub(super) fn restored<'a>(
        head: PipelineHead,
        revisions: impl Iterator<Item = &'a Arc<Pipeline>>,
        durations: Option<(i64, Arc<StageDurations>)>,
    ) -> Option<Self> {
        let revisions = revisions.map(|revision| (revision.revision, Arc::clone(revision)));
        let mut revisions: BTreeMap<i64, Arc<Pipeline>> = revisions.collect();
        let pipeline = revisions.remove(&head.newest_revision)?;
        let oldest = match head.oldest_revision {
            0 => head.newest_revision - max_revisions() + 1,
            oldest => oldest,
        };
        let kept = revisions.split_off(&oldest);
        let old = revisions.iter();
        Some(Self {
            jobs_created: head.jobs_created,
            version: head.version,
            durations,
            with_their_jobs: old
                .map(|(number, revision)| (*number, Arc::downgrade(revision)))
                .collect(),
            revisions: kept,
            ..Self::new(pipeline)
        })
    }

    pub(super) fn head(&self) -> PipelineHead {
        PipelineHead {
            id: self.pipeline.id,
            newest_revision: self.pipeline.revision,
            version: self.version,
            jobs_created: self.jobs_created,
            deleted: self.deleted,
            oldest_revision: self.oldest_revision(),
        }
    }

    /// What the stages of the newest job that succeeded took, with its number.
    pub(super) fn durations(&self) -> Option<(i64, &StageDurations)> {
        let durations = self.durations.as_ref();
        durations.map(|(number, durations)| (*number, &**durations))
    }

    /// All revisions that are kept.
    pub(super) fn all_revisions(&self) -> impl Iterator<Item = Arc<Pipeline>> {
        let with_their_jobs = self.with_their_jobs.values().filter_map(Weak::upgrade);
        let kept = self.revisions.values().chain([&self.pipeline]);
        with_their_jobs.chain(kept.cloned())
    }

    fn state(&self) -> PipelineState {
        let durations = self.durations.as_ref();
        PipelineState {
            pipeline: Arc::clone(&self.pipeline),
            active_jobs: self.active_jobs.len(),
            oldest_active_job: self.oldest_active_job(),
            jobs_created: self.jobs_created,
            oldest_revision: self.oldest_revision(),
            version: self.version,
            durations: durations.map(|(_, durations)| Arc::clone(durations)),
        }
    }

    fn oldest_active_job(&self) -> Option<JobId> {
        self.active_jobs.values().next().copied()
    }

    fn revision(&self, revision: i64) -> Option<Arc<Pipeline>> {
        if revision == self.pipeline.revision {
            return Some(Arc::clone(&self.pipeline));
        }
        let kept = self.revisions.get(&revision).cloned();
        kept.or_else(|| self.with_their_jobs.get(&revision)?.upgrade())
    }

    /// The oldest revision that is kept whether jobs run it or not.
    fn oldest_revision(&self) -> i64 {
        let oldest = self.revisions.first_key_value();
        oldest.map_or(self.pipeline.revision, |(number, _)| *number)
    }

    /// The newest revision, and the older ones that are kept whether jobs run them or not.
    pub(super) fn kept_revisions(&self) -> impl Iterator<Item = &Arc<Pipeline>> {
        self.revisions.values().chain([&self.pipeline])
    }

    pub(super) fn has_older_revisions(&self) -> bool {
        !self.revisions.is_empty()
    }

    /// Takes in the next revision. Answers with the one that was the newest, and with those
    /// that are beyond the ones to keep.
    pub(super) fn revise(
        &mut self,
        pipeline: Arc<Pipeline>,
    ) -> (Arc<Pipeline>, Vec<Arc<Pipeline>>) {
        let old = std::mem::replace(&mut self.pipeline, pipeline);
        self.version += 1;
        self.revisions.insert(old.revision, Arc::clone(&old));
        let oldest = self.pipeline.revision - max_revisions();
        let forgotten = self.forget_revisions(oldest + 1);
        (old, forgotten)
    }

    /// Notes what the stages of a job that has succeeded took, unless a later one has.
    pub(super) fn note_success(&mut self, job: &Job) {
        let known = self.durations.as_ref().map(|(number, _)| *number);
        if known.is_none_or(|number| number < job.number) {
            self.durations = Some((job.number, Arc::new(stage_durations(job))));
        }
    }

    /// Keeps older revisions before this one only as long as jobs that run them, and answers
    /// with these revisions.
    pub(super) fn forget_revisions(&mut self, before: i64) -> Vec<Arc<Pipeline>> {
        const SWEEP_AT: usize = 64;
        let is_old = self.revisions.first_key_value();
        if is_old.is_none_or(|(oldest, _)| *oldest >= before) {
            return Vec::new();
        }
        let kept = self.revisions.split_off(&before);
        let old = std::mem::replace(&mut self.revisions, kept);
        if self.with_their_jobs.len() >= self.sweep_at {
            let is_there = |_: &i64, pipeline: &mut Weak<Pipeline>| pipeline.strong_count() > 0;
            self.with_their_jobs.retain(is_there);
            // As many again before the next look: an update pays for two, however many stay.
            self.sweep_at = SWEEP_AT.max(2 * self.with_their_jobs.len());
        }
        let weak = old.iter();
        self.with_their_jobs
            .extend(weak.map(|(number, old)| (*number, Arc::downgrade(old))));
        old.into_values().collect()
    }
}

/// Revisions behind the newest one that are kept, whether jobs run them or not.
fn max_revisions() -> i64 {
    i64::try_from(limits::MAX_REVISIONS).unwrap_or(i64::MAX)
}
