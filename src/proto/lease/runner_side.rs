//! Encodes requests and decodes responses, for the runner.

use std::{sync::Arc, time::Duration};

use crate::{
    domain::{
        FencingToken, JobId, Offer, RunnerId, SessionId,
        lease::{
            Appended, Completion, Directive, Lease, LeaseProof, LogAppend, Registered,
            Registration, Renewed, Report, WorkRequest,
        },
        limits,
    },
    proto::time::{duration_from_proto, duration_to_proto},
};

use super::{
    directive_from_proto, directive_to_proto, given, offset_to_proto, outcome_to_proto, v1,
    work::work_from_proto,
};

/// The result of a request for work.
#[derive(Debug)]
pub enum Acquisition {
    /// There is no work yet.
    Nothing,
    /// The lease of a stage.
    Stage(Box<Lease>),
    /// The lease of a stage whose action this version does not know.
    Unknown(LeaseProof),
}

/// Encodes a registration.
pub fn registration_to_proto(registration: Registration) -> v1::RegisterRunnerRequest {
    let Registration {
        display_name,
        offer,
        capacity,
        version,
        session_id,
        runner_id,
        owner: _,
    } = registration;
    let Offer { labels, actions } = Arc::unwrap_or_clone(offer);
    v1::RegisterRunnerRequest {
        display_name,
        labels,
        capacity: i32::try_from(capacity).unwrap_or(i32::MAX),
        version,
        session_id: session_id.to_string(),
        runner_id: runner_id.map_or_else(String::new, |id| id.to_string()),
        actions: actions.iter().map(|kind| kind.name().to_owned()).collect(),
    }
}

/// Decodes the response to a registration.
pub fn registered_from_proto(response: v1::RegisterRunnerResponse) -> Result<Registered, String> {
    let v1::RegisterRunnerResponse {
        runner_id,
        lease_ttl,
        max_log_chunk_bytes,
    } = response;
    let max_log_chunk = usize::try_from(max_log_chunk_bytes).ok();
    Ok(Registered {
        runner_id: runner_id
            .parse()
            .map_err(|_| format!("'{runner_id}' is no runner's id"))?,
        lease_ttl: duration_from_proto(lease_ttl.unwrap_or_default())?,
        max_log_chunk: max_log_chunk
            .filter(|size| *size > 0)
            .unwrap_or(limits::MAX_LOG_CHUNK),
    })
}

/// Writes the end of a registration.
pub fn deregistration_to_proto(
    runner_id: RunnerId,
    session_id: SessionId,
) -> v1::DeregisterRunnerRequest {
    v1::DeregisterRunnerRequest {
        runner_id: runner_id.to_string(),
        session_id: session_id.to_string(),
    }
}

/// Writes a request for work.
pub fn work_request_to_proto(request: WorkRequest) -> v1::AcquireLeaseRequest {
    let WorkRequest {
        runner_id,
        session_id,
        request_id,
        max_wait,
        held_jobs,
        leaving,
    } = request;
    v1::AcquireLeaseRequest {
        runner_id: runner_id.to_string(),
        session_id: session_id.to_string(),
        request_id: request_id.to_string(),
        max_wait: Some(duration_to_proto(max_wait)),
        held_job_ids: held_jobs.iter().map(ToString::to_string).collect(),
        leaving,
    }
}

/// Decodes the response to a request for work. Also returns the ended jobs, whose workspaces
/// can be removed.
pub fn acquired_from_proto(
    response: v1::AcquireLeaseResponse,
) -> Result<(Acquisition, Vec<JobId>), String> {
    let v1::AcquireLeaseResponse {
        lease,
        ended_job_ids,
    } = response;
    let offer = lease.map_or(Ok(Acquisition::Nothing), offer_from_proto)?;
    // An invalid id cannot be that of a workspace here.
    let ended = ended_job_ids.iter().filter_map(|id| id.parse().ok());
    Ok((offer, ended.collect()))
}

fn offer_from_proto(lease: v1::Lease) -> Result<Acquisition, String> {
    let v1::Lease {
        id,
        fencing_token,
        ttl,
        work,
    } = lease;
    let proof = LeaseProof {
        lease_id: id.parse().map_err(|_| format!("'{id}' is no lease's id"))?,
        token: FencingToken(fencing_token),
    };
    let Some(work) = work_from_proto(work.unwrap_or_default())? else {
        return Ok(Acquisition::Unknown(proof));
    };
    let ttl = duration_from_proto(ttl.unwrap_or_default())?;
    Ok(Acquisition::Stage(Box::new(Lease { proof, ttl, work })))
}

/// Encodes a renewal.
pub fn renewal_to_proto(
    proof: LeaseProof,
    report: Report,
    known: Directive,
    max_wait: Duration,
) -> v1::RenewLeaseRequest {
    let Report {
        commit_id,
        progress_percent,
    } = report;
    v1::RenewLeaseRequest {
        proof: Some(proof_to_proto(proof)),
        progress_percent: progress_percent.map(i32::from),
        commit_id: commit_id.unwrap_or_default(),
        max_wait: Some(duration_to_proto(max_wait)),
        known_directive: directive_to_proto(known).into(),
    }
}

/// Decodes the response to a renewal.
pub fn renewed_from_proto(response: v1::RenewLeaseResponse) -> Result<Renewed, String> {
    let v1::RenewLeaseResponse {
        ttl,
        directive,
        commit_id,
    } = response;
    Ok(Renewed {
        ttl: duration_from_proto(ttl.unwrap_or_default())?,
        directive: directive_from_proto(directive),
        commit_id: given(commit_id),
    })
}

/// Encodes an append.
pub fn append_to_proto(proof: LeaseProof, append: LogAppend) -> v1::AppendLogRequest {
    let LogAppend {
        offset,
        dropped,
        data,
    } = append;
    v1::AppendLogRequest {
        proof: Some(proof_to_proto(proof)),
        offset: offset_to_proto(offset),
        data,
        dropped_bytes: offset_to_proto(dropped),
    }
}

/// Decodes the response to an append.
pub fn appended_from_proto(response: v1::AppendLogResponse) -> Result<Appended, String> {
    let v1::AppendLogResponse {
        committed_offset,
        directive,
    } = response;
    Ok(Appended {
        committed: u64::try_from(committed_offset)
            .map_err(|_| format!("{committed_offset} is no offset"))?,
        directive: directive_from_proto(directive),
    })
}

/// Encodes a completion.
pub fn completion_to_proto(proof: LeaseProof, completion: Completion) -> v1::CompleteLeaseRequest {
    let Completion {
        outcome,
        exit_code,
        message,
        log_size,
        log_incomplete,
        commit_id,
    } = completion;
    v1::CompleteLeaseRequest {
        proof: Some(proof_to_proto(proof)),
        outcome: outcome_to_proto(outcome).into(),
        exit_code,
        message,
        log_size_bytes: offset_to_proto(log_size),
        log_incomplete,
        commit_id: commit_id.unwrap_or_default(),
    }
}

fn proof_to_proto(proof: LeaseProof) -> v1::LeaseProof {
    let LeaseProof { lease_id, token } = proof;
    v1::LeaseProof {
        lease_id: lease_id.to_string(),
        fencing_token: token.0,
    }
}
