use std::{sync::Arc, time::SystemTime};

use async_trait::async_trait;

use crate::domain::{JobId, PipelineId};

use super::{
    super::{Account, EndedJob, KeptAnswer, RequestKey, RowChange, StoreError, Usage, UsageStore},
    MemoryStore,
    ledger::Owner,
    weights::answer_weight,
};

#[async_trait]
impl UsageStore for MemoryStore {
    async fn used(&self, account: &Account) -> Result<u64, StoreError> {
        Ok(self.ledger.lock().used(account))
    }

    async fn usage(&self) -> Result<Usage, StoreError> {
        Ok(self.ledger.lock().usage())
    }

    async fn ended_jobs(
        &self,
        account: &Account,
        after: Option<EndedJob>,
        limit: usize,
    ) -> Result<Vec<EndedJob>, StoreError> {
        Ok(self.evictable.read().ended_jobs(account, after, limit))
    }

    async fn revised_pipelines(
        &self,
        account: &Account,
        after: Option<PipelineId>,
        limit: usize,
    ) -> Result<Vec<PipelineId>, StoreError> {
        let evictable = self.evictable.read();
        Ok(evictable.revised_pipelines(account, after, limit))
    }

    async fn remove_answers(&self, made_before: SystemTime) -> Result<usize, StoreError> {
        let removed = self.answers.lock().remove_before(made_before);
        self.subtract_answers(&removed);
        if !removed.is_empty() {
            let change = || RowChange::RemoveAnswersBefore(made_before);
            self.capture.note(change);
        }
        Ok(removed.len())
    }

    async fn unload_job(&self, _: JobId) -> Result<bool, StoreError> {
        Ok(false)
    }

    async fn unload_before(&self, _: SystemTime) -> Result<usize, StoreError> {
        Ok(0)
    }
}

impl MemoryStore {
    pub(super) fn subtract_answers(&self, removed: &[(Arc<RequestKey>, KeptAnswer)]) {
        if removed.is_empty() {
            return;
        }
        let mut ledger = self.ledger.lock();
        for (key, kept) in removed {
            ledger.subtract(Owner::of_answer(key), answer_weight(key, kept));
        }
    }
}
