//! Encodes the service's responses.

use crate::{
    domain::lease::{Acquired, Appended, Lease, Registered, Renewed},
    proto::time::duration_to_proto,
};

use super::{directive_to_proto, offset_to_proto, v1, work::work_to_proto};

/// Encodes the response to a registration.
pub fn registered_to_proto(registered: Registered) -> v1::RegisterRunnerResponse {
    let Registered {
        runner_id,
        lease_ttl,
        max_log_chunk,
    } = registered;
    v1::RegisterRunnerResponse {
        runner_id: runner_id.to_string(),
        lease_ttl: Some(duration_to_proto(lease_ttl)),
        max_log_chunk_bytes: i32::try_from(max_log_chunk).unwrap_or(i32::MAX),
    }
}

/// Encodes the response to a request for work.
pub fn acquired_to_proto(acquired: Acquired) -> v1::AcquireLeaseResponse {
    let Acquired { lease, ended_jobs } = acquired;
    v1::AcquireLeaseResponse {
        lease: lease.map(lease_to_proto),
        ended_job_ids: ended_jobs.iter().map(ToString::to_string).collect(),
    }
}

fn lease_to_proto(lease: Lease) -> v1::Lease {
    let Lease { proof, ttl, work } = lease;
    v1::Lease {
        id: proof.lease_id.to_string(),
        fencing_token: proof.token.0,
        ttl: Some(duration_to_proto(ttl)),
        work: Some(work_to_proto(work)),
    }
}

/// Encodes the response to a renewal.
pub fn renewed_to_proto(renewed: Renewed) -> v1::RenewLeaseResponse {
    let Renewed {
        ttl,
        directive,
        commit_id,
    } = renewed;
    v1::RenewLeaseResponse {
        ttl: Some(duration_to_proto(ttl)),
        directive: directive_to_proto(directive).into(),
        commit_id: commit_id.unwrap_or_default(),
    }
}

/// Encodes the response to an append.
pub fn appended_to_proto(appended: Appended) -> v1::AppendLogResponse {
    let Appended {
        committed,
        directive,
    } = appended;
    v1::AppendLogResponse {
        committed_offset: offset_to_proto(committed),
        directive: directive_to_proto(directive).into(),
    }
}
