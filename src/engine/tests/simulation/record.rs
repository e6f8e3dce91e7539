use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use parking_lot::{Mutex, MutexGuard};
use uuid::Uuid;

use crate::{
    domain::{FencingToken, Job, JobId, JobState, LeaseId, PipelineId, lease::Lease},
    engine::tests::history::Seen,
};

/// All responses of the service.
#[derive(Clone, Default)]
pub(super) struct Record(Arc<Mutex<Told>>);

#[derive(Default)]
pub(super) struct Told {
    /// In the order in which it happened.
    pub(super) seen: Vec<Seen>,
    /// All responses, to compare two runs.
    pub(super) responses: Vec<String>,
    /// The first thing that must not be.
    pub(super) violation: Option<String>,
    /// The greatest sequence that was shown of each job.
    pub(super) jobs: BTreeMap<JobId, i64>,
    pub(super) creations: Vec<Creation>,
    pub(super) triggers: Vec<Triggered>,
    pub(super) watches: BTreeMap<(u32, JobId), Cursor>,
    /// Stage runs whose start was acknowledged, and whether their end was, too.
    pub(super) stages: BTreeMap<StageName, bool>,
    tokens: BTreeMap<LeaseId, FencingToken>,
    used_tokens: BTreeSet<FencingToken>,
    /// The greatest token that was accepted for each stage.
    accepted: BTreeMap<String, FencingToken>,
}

/// A job, the name of a stage, and the attempt.
pub(super) type StageName = (JobId, String, u32);

/// A call that creates a pipeline.
pub(super) struct Creation {
    pub(super) request: Uuid,
    pub(super) name: String,
    pub(super) response: Option<PipelineId>,
}

/// A call that triggers a job.
pub(super) struct Triggered {
    pub(super) request: Uuid,
    pub(super) pipeline: PipelineId,
    pub(super) response: Option<(JobId, i64, JobState)>,
}

/// How far a watch is.
#[derive(Clone, Copy, Default)]
pub(super) struct Cursor {
    pub(super) sequence: i64,
    pub(super) is_over: bool,
}

impl Record {
    pub(super) fn lock(&self) -> MutexGuard<'_, Told> {
        self.0.lock()
    }

    pub(super) fn violate(&self, violation: String) {
        self.lock().violate(violation);
    }
}

impl Told {
    pub(super) fn violate(&mut self, violation: String) {
        self.violation.get_or_insert(violation);
    }

    pub(super) fn respond(&mut self, response: String) {
        self.responses.push(response);
    }

    /// A response that was made on a state no older than `floor` showed a job.
    pub(super) fn shown(&mut self, job: &Job, floor: i64) {
        if job.last_sequence < floor {
            self.violate(format!(
                "I1: job {} went back from event {floor} to {}",
                job.id, job.last_sequence
            ));
        }
        let newest = self.jobs.entry(job.id).or_default();
        *newest = job.last_sequence.max(*newest);
    }

    pub(super) fn created(&mut self, index: usize, id: PipelineId) {
        let creation = &mut self.creations[index];
        let first = *creation.response.get_or_insert(id);
        if first != id {
            let request = creation.request;
            self.violate(format!("I6: {request} created {first} and {id}"));
        }
    }

    pub(super) fn triggered(&mut self, index: usize, job: &Job) {
        let response = (job.id, job.last_sequence, job.state);
        let call = &mut self.triggers[index];
        let first = *call.response.get_or_insert(response);
        if first != response {
            let request = call.request;
            self.violate(format!("I6: {request} got {first:?} and {response:?}"));
        }
        self.shown(job, 0);
    }

    pub(super) fn newest_token(&self) -> FencingToken {
        let newest = self.used_tokens.last().copied();
        newest.unwrap_or(FencingToken(0))
    }

    /// A runner got a lease by a call that began after `newest` was known.
    pub(super) fn leased(&mut self, lease: &Lease, newest: FencingToken) {
        let proof = lease.proof;
        match self.tokens.insert(proof.lease_id, proof.token) {
            Some(earlier) if earlier == proof.token => return,
            Some(earlier) => self.violate(format!(
                "I4: lease {} has the tokens {earlier:?} and {:?}",
                proof.lease_id, proof.token
            )),
            None => {}
        }
        if !self.used_tokens.insert(proof.token) {
            self.violate(format!("I4: the token {:?} was used before", proof.token));
        } else if proof.token < newest {
            self.violate(format!("I4: {:?} came after {newest:?}", proof.token));
        }
    }

    pub(super) fn newest_accepted(&self, stage: &str) -> Option<FencingToken> {
        self.accepted.get(stage).copied()
    }

    /// A write by a call that began after `newest` was accepted was accepted.
    pub(super) fn accept(
        &mut self,
        stage: &str,
        token: FencingToken,
        newest: Option<FencingToken>,
    ) {
        let known = self.accepted.entry(stage.to_owned()).or_insert(token);
        *known = token.max(*known);
        // Two calls at the same time have no order.
        if token == *known || newest.is_some_and(|newest| token < newest) {
            self.seen.push(Seen::Accepted {
                stage: stage.to_owned(),
                token: token.0,
            });
        }
    }
}
