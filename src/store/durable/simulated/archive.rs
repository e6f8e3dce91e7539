use std::{sync::Arc, time::SystemTime};

use async_trait::async_trait;

use crate::{
    domain::{Event, Job, JobFacts, JobId, JobState, Pipeline, PipelineId},
    store::{
        BatchId, FactsFilter, JobFilter, JobStore, KeptAnswer, MemoryStore, PipelineStore,
        RequestKey, StoreError, durable::Archive,
    },
};

use super::{DiskBug, SimulatedDisk};

impl SimulatedDisk {
    /// The store of what is synced, to read from.
    fn loaded(&self) -> Result<Arc<MemoryStore>, StoreError> {
        let mut synced = self.synced.lock();
        if let Some(loaded) = &synced.loaded {
            return Ok(Arc::clone(loaded));
        }
        let loaded = Arc::new(synced.rows.restore(&self.once)?);
        synced.loaded = Some(Arc::clone(&loaded));
        Ok(loaded)
    }
}

#[async_trait]
impl Archive for SimulatedDisk {
    fn load(&self) -> Result<MemoryStore, StoreError> {
        let mut synced = self.synced.lock();
        if self.bug == Some(DiskBug::ForgottenTokens) {
            synced.rows.forget_tokens();
        }
        synced.rows.restore(&self.once)
    }

    fn can_seal(&self) -> bool {
        true
    }

    async fn job(&self, id: JobId) -> Result<Option<Arc<Job>>, StoreError> {
        let job = self.loaded()?.job(id).await?;
        Ok(job.filter(|job| job.state.is_terminal()))
    }

    async fn events(&self, id: JobId, after: i64) -> Result<Option<Vec<Event>>, StoreError> {
        match self.job(id).await? {
            Some(_) => self.loaded()?.events(id, after).await,
            None => Ok(None),
        }
    }

    async fn list_ended(
        &self,
        filter: &JobFilter,
        before: Option<JobId>,
        limit: usize,
    ) -> Result<Vec<Arc<Job>>, StoreError> {
        let is_wanted = |state: &JobState| {
            let is_among = filter.states.is_empty() || filter.states.contains(state);
            is_among && state.is_terminal()
        };
        let states: Vec<JobState> = JobState::ALL.into_iter().filter(is_wanted).collect();
        if states.is_empty() {
            return Ok(Vec::new());
        }
        let filter = JobFilter {
            states,
            ..filter.clone()
        };
        self.loaded()?.list_jobs(&filter, before, limit).await
    }

    async fn expired_jobs(
        &self,
        keep: usize,
        ended_before: SystemTime,
    ) -> Result<Vec<JobId>, StoreError> {
        // Asked at every end of a job.
        if self.synced.lock().rows.ended() <= keep {
            return Ok(Vec::new());
        }
        self.loaded()?.expired_jobs(keep, ended_before).await
    }

    async fn has_ended_jobs(&self, project: &str) -> Result<bool, StoreError> {
        Ok(self.synced.lock().rows.has_ended_jobs(project))
    }

    async fn facts(&self, filter: &FactsFilter) -> Result<Vec<Arc<JobFacts>>, StoreError> {
        self.loaded()?.facts(filter).await
    }

    async fn revision(
        &self,
        id: PipelineId,
        revision: i64,
    ) -> Result<Option<Arc<Pipeline>>, StoreError> {
        self.loaded()?.revision(id, revision).await
    }

    async fn answer(&self, key: &RequestKey) -> Result<Option<KeptAnswer>, StoreError> {
        Ok(self.synced.lock().rows.answer(key).cloned())
    }

    async fn was_committed(&self, id: BatchId) -> Result<bool, StoreError> {
        Ok(self.synced.lock().rows.has_batch(id))
    }
}
