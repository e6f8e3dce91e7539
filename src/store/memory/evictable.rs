use std::{
    collections::{BTreeSet, HashMap},
    ops::Bound,
    time::SystemTime,
};

use uuid::Uuid;

use crate::domain::{Job, JobId, Pipeline, PipelineId};

use super::{
    super::{Account, EndedJob},
    ledger::Owner,
};

/// What may be evicted, by account.
#[derive(Default)]
pub(super) struct Evictable {
    by_account: HashMap<Account, Candidates>,
}

#[derive(Default)]
struct Candidates {
    jobs: BTreeSet<EndedJob>,
    revised: BTreeSet<PipelineId>,
}

impl Evictable {
    pub(super) fn note_ended(&mut self, job: &Job, end_time: SystemTime) {
        let ended = ended_job(job, end_time);
        self.change(Owner::of_job(job), |candidates| {
            candidates.jobs.insert(ended);
        });
    }

    pub(super) fn forget_job(&mut self, job: &Job, end_time: SystemTime) {
        let ended = ended_job(job, end_time);
        self.change(Owner::of_job(job), |candidates| {
            candidates.jobs.remove(&ended);
        });
    }

    /// Notes whether a pipeline has older revisions.
    pub(super) fn note_revisions(&mut self, pipeline: &Pipeline, has_older: bool) {
        self.change(Owner::of_pipeline(pipeline), |candidates| {
            if has_older {
                candidates.revised.insert(pipeline.id);
            } else {
                candidates.revised.remove(&pipeline.id);
            }
        });
    }

    /// As many jobs as there are beyond `keep`, the oldest first, but none that ran a stage and
    /// ended at this time or later.
    pub(super) fn expired_jobs(&self, keep: usize, ended_before: SystemTime) -> Vec<JobId> {
        let Some(Candidates { jobs, .. }) = self.by_account.get(&Account::Store) else {
            return Vec::new();
        };
        let first_that_ran = EndedJob {
            has_run: true,
            end_time: SystemTime::UNIX_EPOCH,
            id: JobId(Uuid::nil()),
        };
        let mut never_ran = jobs.range(..first_that_ran).peekable();
        let ran = jobs.range(first_that_ran..);
        let mut ran = ran.take_while(|job| job.end_time < ended_before).peekable();
        let oldest = std::iter::from_fn(|| match (never_ran.peek(), ran.peek()) {
            (Some(waited), Some(other)) if other.end_time < waited.end_time => ran.next(),
            (Some(_), _) => never_ran.next(),
            (None, _) => ran.next(),
        });
        let surplus = jobs.len().saturating_sub(keep);
        oldest.take(surplus).map(|job| job.id).collect()
    }

    /// Jobs that ended before a time. It is called at every end of a job, so it does not visit the
    /// others.
    pub(super) fn ended_before(&self, time: SystemTime) -> Vec<JobId> {
        let Some(Candidates { jobs, .. }) = self.by_account.get(&Account::Store) else {
            return Vec::new();
        };
        let ended = [false, true].into_iter().flat_map(|has_run| {
            let first_at = |end_time| EndedJob {
                has_run,
                end_time,
                id: JobId(Uuid::nil()),
            };
            jobs.range(first_at(time.min(SystemTime::UNIX_EPOCH))..first_at(time))
        });
        ended.map(|job| job.id).collect()
    }

    /// Ended jobs of an account behind `after`.
    pub(super) fn ended_jobs(
        &self,
        account: &Account,
        after: Option<EndedJob>,
        limit: usize,
    ) -> Vec<EndedJob> {
        let candidates = self.by_account.get(account);
        let jobs = candidates.map(|candidates| behind(&candidates.jobs, after, limit));
        jobs.unwrap_or_default()
    }

    /// Pipelines of an account that have older revisions, behind `after`.
    pub(super) fn revised_pipelines(
        &self,
        account: &Account,
        after: Option<PipelineId>,
        limit: usize,
    ) -> Vec<PipelineId> {
        let candidates = self.by_account.get(account);
        let revised = candidates.map(|candidates| behind(&candidates.revised, after, limit));
        revised.unwrap_or_default()
    }

    fn change(&mut self, owner: Owner<'_>, change: impl Fn(&mut Candidates)) {
        for account in owner.accounts() {
            let candidates = self.by_account.entry(account.clone()).or_default();
            change(candidates);
            if candidates.jobs.is_empty() && candidates.revised.is_empty() {
                self.by_account.remove(&account);
            }
        }
    }
}

fn ended_job(job: &Job, end_time: SystemTime) -> EndedJob {
    EndedJob {
        has_run: job.start_time.is_some(),
        end_time,
        id: job.id,
    }
}

/// The part of a set that is behind a value.
fn behind<T: Ord + Copy>(set: &BTreeSet<T>, after: Option<T>, limit: usize) -> Vec<T> {
    let first = after.map_or(Bound::Unbounded, Bound::Excluded);
    let range = set.range((first, Bound::Unbounded));
    range.take(limit).copied().collect()
}
