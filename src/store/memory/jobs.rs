use std::{sync::Arc, time::SystemTime};

use async_trait::async_trait;

use crate::domain::{Event, Job, JobFacts, JobId};

use super::{
    super::{FactsFilter, JobFilter, JobStore, StoreError},
    MemoryStore, page,
};

pub(super) struct JobEntry {
    pub(super) job: Arc<Job>,
    /// None only in an entry that a commit has not put in yet.
    pub(super) events: Vec<Event>,
}

#[async_trait]
impl JobStore for MemoryStore {
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

    async fn expired_jobs(
        &self,
        keep: usize,
        ended_before: SystemTime,
    ) -> Result<Vec<JobId>, StoreError> {
        Ok(self.evictable.read().expired_jobs(keep, ended_before))
    }

    async fn facts(&self, filter: &FactsFilter) -> Result<Vec<Arc<JobFacts>>, StoreError> {
        Ok(self.facts.read().list(filter))
    }
}
