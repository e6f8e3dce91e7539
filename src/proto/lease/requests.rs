//! Decodes and validates runners' requests, for the service.

use std::{collections::BTreeSet, str::FromStr, sync::Arc, time::Duration};

use crate::{
    domain::{
        ActionKind, FencingToken, Offer, RunnerId, SessionId, Violation, cut,
        lease::{Completion, Directive, LeaseProof, LogAppend, Registration, Report, WorkRequest},
        limits, validate,
    },
    proto::time::duration_from_proto,
};

use super::{directive_from_proto, given, outcome_from_proto, v1};

type Read<T> = Result<T, Vec<Violation>>;

/// A runner's renewal of a lease.
#[derive(Clone, Debug)]
pub struct Renewal {
    /// Proves that the runner holds the lease.
    pub proof: LeaseProof,
    /// The report on the stage.
    pub report: Report,
    /// The last directive that the runner received.
    pub known: Directive,
    /// How long the response may wait for a new directive.
    pub max_wait: Duration,
}

/// Reads a registration; who sent it is not in it.
pub fn registration_from_proto(request: v1::RegisterRunnerRequest) -> Read<Registration> {
    let v1::RegisterRunnerRequest {
        display_name,
        labels,
        capacity,
        version,
        session_id,
        runner_id,
        actions,
    } = request;
    let mut fields = Fields::default();
    let range = 1..=limits::MAX_CAPACITY;
    if !range.contains(&capacity) {
        fields.refuse("capacity", format!("is {capacity}; must be 1 to 10000"));
    }
    if actions.len() > limits::MAX_ACTIONS {
        fields.refuse("actions", "names more than 64 actions".to_owned());
    }
    let actions = if actions.is_empty() {
        BTreeSet::from([ActionKind::Command])
    } else {
        actions
            .iter()
            .filter_map(|name| ActionKind::named(name))
            .collect()
    };
    let session_id = fields.id("session_id", &session_id);
    let runner_id = given(runner_id).and_then(|id| fields.id("runner_id", &id));
    let Some(session_id) = session_id else {
        return Err(fields.0);
    };
    let registration = Registration {
        display_name,
        offer: Arc::new(Offer { labels, actions }),
        capacity: usize::try_from(capacity).unwrap_or_default(),
        version,
        session_id,
        runner_id,
        owner: String::new(),
    };
    fields.0.extend(validate::runner(&registration));
    fields.done(registration)
}

/// Reads the end of a registration: which runner, and which session of it.
pub fn deregistration_from_proto(
    request: v1::DeregisterRunnerRequest,
) -> Read<(RunnerId, SessionId)> {
    let v1::DeregisterRunnerRequest {
        runner_id,
        session_id,
    } = request;
    let mut fields = Fields::default();
    let runner_id = fields.id("runner_id", &runner_id);
    let session_id = fields.id("session_id", &session_id);
    let (Some(runner_id), Some(session_id)) = (runner_id, session_id) else {
        return Err(fields.0);
    };
    fields.done((runner_id, session_id))
}

/// Reads a request for work.
pub fn work_request_from_proto(request: v1::AcquireLeaseRequest) -> Read<WorkRequest> {
    let v1::AcquireLeaseRequest {
        runner_id,
        session_id,
        request_id,
        max_wait,
        held_job_ids,
        leaving,
    } = request;
    let mut fields = Fields::default();
    let runner_id = fields.id("runner_id", &runner_id);
    let session_id = fields.id("session_id", &session_id);
    let request_id = fields.id("request_id", &request_id);
    let max_wait = fields.wait(max_wait);
    if held_job_ids.len() > limits::MAX_HELD_JOBS {
        let given = held_job_ids.len();
        fields.refuse(
            "held_job_ids",
            format!("has {given} jobs; at most 10000 are allowed"),
        );
        return Err(fields.0);
    }
    let held = held_job_ids.iter().enumerate();
    let held_jobs = held.filter_map(|(at, id)| fields.id(&format!("held_job_ids[{at}]"), id));
    let held_jobs = held_jobs.collect();
    let (Some(runner_id), Some(session_id), Some(request_id)) = (runner_id, session_id, request_id)
    else {
        return Err(fields.0);
    };
    fields.done(WorkRequest {
        runner_id,
        session_id,
        request_id,
        max_wait: max_wait.min(limits::MAX_WORK_WAIT),
        held_jobs,
        leaving,
    })
}

/// Decodes a renewal.
pub fn renewal_from_proto(request: v1::RenewLeaseRequest) -> Read<Renewal> {
    let v1::RenewLeaseRequest {
        proof,
        progress_percent,
        commit_id,
        max_wait,
        known_directive,
    } = request;
    let mut fields = Fields::default();
    let proof = fields.proof(proof);
    let progress_percent = progress_percent.and_then(|percent| fields.percent(percent));
    let commit_id = fields.commit(commit_id);
    let max_wait = fields.wait(max_wait);
    let Some(proof) = proof else {
        return Err(fields.0);
    };
    fields.done(Renewal {
        proof,
        report: Report {
            commit_id,
            progress_percent,
        },
        known: directive_from_proto(known_directive),
        max_wait,
    })
}

/// Decodes an append.
pub fn append_from_proto(request: v1::AppendLogRequest) -> Read<(LeaseProof, LogAppend)> {
    let v1::AppendLogRequest {
        proof,
        offset,
        data,
        dropped_bytes,
    } = request;
    let mut fields = Fields::default();
    let proof = fields.proof(proof);
    let offset = fields.size("offset", offset);
    let dropped = fields.size("dropped_bytes", dropped_bytes);
    if data.len() > limits::MAX_LOG_CHUNK {
        let given = data.len();
        fields.refuse(
            "data",
            format!("has {given} bytes; at most 262144 are allowed"),
        );
    }
    if dropped > offset {
        fields.refuse("dropped_bytes", "must be at most the offset");
    }
    if offset.saturating_add(data.len() as u64) > limits::MAX_LOG_SIZE {
        let end = format!(
            "and `data` end behind {}, the largest log",
            limits::MAX_LOG_SIZE
        );
        fields.refuse("offset", end);
    }
    let Some(proof) = proof else {
        return Err(fields.0);
    };
    let append = LogAppend {
        offset,
        dropped,
        data,
    };
    fields.done((proof, append))
}

/// Decodes a completion.
pub fn completion_from_proto(request: v1::CompleteLeaseRequest) -> Read<(LeaseProof, Completion)> {
    let v1::CompleteLeaseRequest {
        proof,
        outcome,
        exit_code,
        message,
        log_size_bytes,
        log_incomplete,
        commit_id,
    } = request;
    let mut fields = Fields::default();
    let proof = fields.proof(proof);
    let outcome = outcome_from_proto(outcome);
    if outcome.is_none() {
        fields.refuse("outcome", "is required; say how the stage ended");
    }
    let log_size = fields.size("log_size_bytes", log_size_bytes);
    if let Some(code) = exit_code.filter(|code| !limits::EXIT_CODES.contains(code)) {
        fields.refuse("exit_code", format!("is {code}; must be 0 to 255"));
    }
    let commit_id = fields.commit(commit_id);
    let message = cut(&message, limits::MAX_FAILURE_MESSAGE).to_owned();
    let (Some(proof), Some(outcome)) = (proof, outcome) else {
        return Err(fields.0);
    };
    let completion = Completion {
        outcome,
        exit_code,
        message,
        log_size,
        log_incomplete,
        commit_id,
    };
    fields.done((proof, completion))
}

/// The violations of the fields that were decoded so far.
#[derive(Default)]
struct Fields(Vec<Violation>);

impl Fields {
    fn refuse(&mut self, field: &str, description: impl Into<String>) {
        if self.0.len() < limits::MAX_VIOLATIONS {
            self.0.push(Violation::new(field, description));
        }
    }

    fn done<T>(self, value: T) -> Read<T> {
        if self.0.is_empty() {
            Ok(value)
        } else {
            Err(self.0)
        }
    }

    fn id<Id: FromStr>(&mut self, field: &str, text: &str) -> Option<Id> {
        let id = text.parse().ok();
        match (&id, text) {
            (Some(_), _) => {}
            (None, "") => self.refuse(field, "is required; give the id, a UUID"),
            (None, _) => self.refuse(field, "is not a UUID"),
        }
        id
    }

    fn proof(&mut self, proof: Option<v1::LeaseProof>) -> Option<LeaseProof> {
        let Some(v1::LeaseProof {
            lease_id,
            fencing_token,
        }) = proof
        else {
            self.refuse("proof", "is required; give the lease and its fencing token");
            return None;
        };
        let lease_id = self.id("proof.lease_id", &lease_id)?;
        match fencing_token {
            ..0 => {
                let description = format!("is {fencing_token}; must be positive");
                self.refuse("proof.fencing_token", description);
            }
            0 => self.refuse("proof.fencing_token", "is required"),
            1.. => {}
        }
        Some(LeaseProof {
            lease_id,
            token: FencingToken(fencing_token),
        })
    }

    fn wait(&mut self, wait: Option<prost_types::Duration>) -> Duration {
        let wait = wait.map_or(Ok(Duration::ZERO), duration_from_proto);
        wait.unwrap_or_else(|description| {
            self.refuse("max_wait", description);
            Duration::ZERO
        })
    }

    /// A size of a log, or an offset in one.
    fn size(&mut self, field: &str, size: i64) -> u64 {
        let known = u64::try_from(size).ok();
        known
            .filter(|size| *size <= limits::MAX_LOG_SIZE)
            .unwrap_or_else(|| {
                let range = format!("is {size}; must be 0 to {}", limits::MAX_LOG_SIZE);
                self.refuse(field, range);
                0
            })
    }

    fn percent(&mut self, percent: i32) -> Option<u8> {
        let known = u8::try_from(percent).ok().filter(|percent| *percent <= 100);
        if known.is_none() {
            self.refuse(
                "progress_percent",
                format!("is {percent}; must be 0 to 100"),
            );
        }
        known
    }

    fn commit(&mut self, commit_id: String) -> Option<String> {
        let commit_id = given(commit_id)?;
        if let Err(description) = validate::commit_id(&commit_id) {
            self.refuse("commit_id", description);
        }
        Some(commit_id)
    }
}
