use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::SystemTime,
};

use crate::{
    domain::{
        Event, FencingToken, Job, JobFacts, JobId, LeaseId, LostWorkspace, PipelineId, RunnerId,
    },
    store::{
        BatchId, KeptAnswer, LeaseRow, MemoryStore, Record, RequestKey, Restorer, RowChange,
        RunnerRow, StoreError,
        codec::{
            PipelineHead, StoredBinding, StoredDue, StoredDurations, StoredInstance, Unsealed,
            decode_event, decode_pipeline, encode_event, encode_pipeline,
        },
        damaged,
    },
};

/// All rows of a store. Values whose parts are shared in memory are encoded: what is read back
/// shares nothing with what was written.
#[derive(Default)]
pub(super) struct Rows {
    heads: BTreeMap<PipelineId, PipelineHead>,
    durations: BTreeMap<PipelineId, StoredDurations>,
    revisions: BTreeMap<(PipelineId, i64), Vec<u8>>,
    jobs: BTreeMap<JobId, JobRow>,
    facts: BTreeMap<(SystemTime, JobId), Arc<JobFacts>>,
    runners: BTreeMap<RunnerId, Arc<RunnerRow>>,
    leases: BTreeMap<LeaseId, LeaseRow>,
    workspaces: BTreeMap<JobId, (Vec<StoredBinding>, Vec<LostWorkspace>)>,
    next_token: Option<FencingToken>,
    records: BTreeMap<(&'static str, String), Record>,
    work: BTreeMap<(String, String), StoredDue>,
    last_claim: Option<u64>,
    answers: BTreeMap<Arc<RequestKey>, KeptAnswer>,
    batches: Vec<BatchId>,
    known_batches: BTreeSet<BatchId>,
}

#[derive(Default)]
struct JobRow {
    project: String,
    end_time: Option<SystemTime>,
    events: Vec<Vec<u8>>,
}

impl Rows {
    pub(super) fn apply(&mut self, change: &RowChange) {
        match change.clone() {
            RowChange::AddRevision(revision) => {
                let key = (revision.id, revision.revision);
                let earlier = self
                    .revisions
                    .insert(key, encode_pipeline(&revision, &Unsealed));
                assert!(earlier.is_none(), "revisions are never rewritten");
            }
            RowChange::PutHead(head) => {
                self.heads.insert(head.id, head);
            }
            RowChange::PutDurations(durations) => {
                if self.heads.contains_key(&durations.pipeline_id) {
                    self.durations.insert(durations.pipeline_id, durations);
                }
            }
            RowChange::RemovePipeline(id) => {
                self.heads.remove(&id);
                self.durations.remove(&id);
            }
            RowChange::AddEvents(job, events) => self.add_events(&job, &events),
            RowChange::RemoveJob(id) => {
                self.jobs.remove(&id);
            }
            RowChange::AddFacts(facts) => {
                let key = (facts.end_time, facts.job_id);
                let earlier = self.facts.insert(key, facts);
                assert!(earlier.is_none(), "facts are never rewritten");
            }
            RowChange::PutRunner(runner) => {
                self.runners.insert(runner.id, runner);
            }
            RowChange::RemoveRunner(id) => {
                self.runners.remove(&id);
            }
            RowChange::PutLease(lease) => {
                self.leases.insert(lease.id, lease);
            }
            RowChange::RemoveLease(id) => {
                self.leases.remove(&id);
            }
            RowChange::PutWorkspaces(job, bindings, lost) => {
                self.workspaces.insert(job, (bindings, lost));
            }
            RowChange::PutNextToken(token) => self.next_token = Some(token),
            RowChange::PutRecord(collection, record) => {
                let key = (collection, record.key.clone());
                self.records.insert(key, record);
            }
            RowChange::RemoveRecord(collection, key) => {
                self.records.remove(&(collection, key));
            }
            RowChange::PutWork(work) => {
                let key = (work.kind.clone(), work.key.clone());
                self.work.insert(key, work);
            }
            RowChange::RemoveWork(work) => {
                self.work.remove(&(work.kind.to_owned(), work.key));
            }
            RowChange::PutLastClaim(token) => self.last_claim = Some(token),
            RowChange::PutAnswer(key, kept) => {
                self.answers.insert(key, kept);
            }
            RowChange::RemoveAnswer(key) => {
                self.answers.remove(&key);
            }
            RowChange::RemoveAnswersBefore(time) => {
                self.answers.retain(|_, kept| kept.time >= time);
            }
            RowChange::AddBatch(id) => {
                let is_new = self.known_batches.insert(id);
                assert!(is_new, "a batch is committed once");
                self.batches.push(id);
            }
        }
    }

    pub(super) fn forget_tokens(&mut self) {
        self.next_token = None;
    }

    fn add_events(&mut self, job: &Job, events: &[Event]) {
        let row = self.jobs.entry(job.id).or_default();
        let sequences = row.events.len() as i64 + 1..;
        let is_next = sequences
            .zip(events)
            .all(|(sequence, event)| event.sequence == sequence);
        assert!(is_next, "events follow each other, and are never rewritten");
        let encoded = events.iter().map(|event| encode_event(event, &Unsealed));
        row.events.extend(encoded);
        row.project.clone_from(&job.pipeline.project);
        row.end_time = job.end_time;
    }

    /// How many jobs have ended.
    pub(super) fn ended(&self) -> usize {
        let jobs = self.jobs.values();
        jobs.filter(|job| job.end_time.is_some()).count()
    }

    pub(super) fn restore(&self, once: &StoredInstance) -> Result<MemoryStore, StoreError> {
        let mut restorer = Restorer::new(StoredInstance {
            instance: once.instance.clone(),
            next_token: self.next_token.unwrap_or(once.next_token),
            last_claim: self.last_claim.unwrap_or(once.last_claim),
        });
        for revision in self.revisions.values() {
            restorer.revision(decode_pipeline(revision, &Unsealed).map_err(damaged)?);
        }
        for durations in self.durations.values() {
            restorer.durations(durations.clone());
        }
        for head in self.heads.values() {
            restorer.pipeline(*head)?;
        }
        for runner in self.runners.values() {
            restorer.runner(RunnerRow::clone(runner));
        }
        for lease in self.leases.values() {
            restorer.lease(*lease);
        }
        for (job, (bindings, lost)) in &self.workspaces {
            bindings.iter().for_each(|row| restorer.binding(*job, row));
            let lost = lost.iter().cloned();
            lost.for_each(|row| restorer.lost(*job, row));
        }
        let mut jobs: Vec<&JobRow> = self.jobs.values().collect();
        // Those that are active first.
        jobs.sort_by_key(|job| job.end_time);
        for job in jobs {
            let revisions = |id, revision| restorer.known_revision(id, revision);
            let event = |row: &Vec<u8>| decode_event(row, &Unsealed, &revisions).map_err(damaged);
            let events: Result<_, _> = job.events.iter().map(event).collect();
            restorer.job(events?)?;
        }
        for ((collection, _), record) in &self.records {
            restorer.record((*collection).to_owned(), record.clone());
        }
        let mut work: Vec<&StoredDue> = self.work.values().collect();
        work.sort_by_key(|row| row.token);
        work.into_iter().for_each(|row| restorer.work(row.clone()));
        let mut answers: Vec<_> = self.answers.iter().collect();
        answers.sort_by_key(|(_, kept)| kept.time);
        for (key, kept) in answers {
            restorer.answer(RequestKey::clone(key), kept.clone());
        }
        for facts in self.facts.values() {
            restorer.facts(JobFacts::clone(facts));
        }
        self.batches.iter().for_each(|id| restorer.batch(*id));
        Ok(restorer.finish())
    }

    pub(super) fn has_ended_jobs(&self, project: &str) -> bool {
        let mut jobs = self.jobs.values();
        jobs.any(|job| job.end_time.is_some() && job.project == project)
    }

    pub(super) fn answer(&self, key: &RequestKey) -> Option<&KeptAnswer> {
        self.answers.get(key)
    }

    pub(super) fn has_batch(&self, id: BatchId) -> bool {
        self.known_batches.contains(&id)
    }
}
