//! Runners, their leases, and the runners on which jobs have workspaces.

use std::sync::Arc;

use crate::{
    domain::{FencingToken, JobId, LeaseId, Offer, RunnerId, SessionId, lease::Registration},
    store::{LeaseRow, LeaseState, ReadyStage, RunnerRow},
};

use super::{
    CodecError, Kind, Stored,
    lease::{run_key_from_message, run_key_to_message},
    messages,
    primitives::{Numbered, id_from_bytes, id_to_bytes, required, time_from_nanos, time_to_nanos},
};

/// The binding of a job to a runner: the job has, or may get, a workspace there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredBinding {
    pub runner_id: RunnerId,
    /// What the runner offered when the job was bound to it.
    pub offer: Arc<Offer>,
    /// Token of the lease that created the workspace; `None` while there is none.
    pub started: Option<FencingToken>,
}

impl Stored for StoredBinding {
    const KIND: Kind = Kind::Binding;
    type Message = messages::Binding;

    fn to_message(&self) -> Self::Message {
        let Self {
            runner_id,
            offer,
            started,
        } = self;
        messages::Binding {
            runner_id: id_to_bytes(runner_id.0),
            offer: Some(offer.to_message()),
            started: started.map(|token| token.0),
        }
    }

    fn from_message(message: Self::Message) -> Result<Self, CodecError> {
        let messages::Binding {
            runner_id,
            offer,
            started,
        } = message;
        let offer = required(offer, "Binding.offer")?;
        Ok(Self {
            runner_id: RunnerId(id_from_bytes(&runner_id, "Binding.runner_id")?),
            offer: Arc::new(Offer::from_message(offer)?),
            started: started.map(FencingToken),
        })
    }
}

impl Stored for RunnerRow {
    const KIND: Kind = Kind::Runner;
    type Message = messages::Runner;

    fn to_message(&self) -> Self::Message {
        let Self {
            id,
            registration,
            register_time,
            is_draining,
            last_seen,
            has_left,
        } = self;
        let Registration {
            display_name,
            offer,
            capacity,
            version,
            session_id,
            runner_id,
            owner,
        } = registration;
        messages::Runner {
            id: id_to_bytes(id.0),
            display_name: display_name.clone(),
            offer: Some(offer.to_message()),
            capacity: *capacity as u64,
            version: version.clone(),
            session_id: id_to_bytes(session_id.0),
            registered_as: runner_id.map(|id| id_to_bytes(id.0)).unwrap_or_default(),
            owner: owner.clone(),
            register_time: time_to_nanos(*register_time),
            is_draining: *is_draining,
            last_seen: time_to_nanos(*last_seen),
            has_left: *has_left,
        }
    }

    fn from_message(message: Self::Message) -> Result<Self, CodecError> {
        let messages::Runner {
            id,
            display_name,
            offer,
            capacity,
            version,
            session_id,
            registered_as,
            owner,
            register_time,
            is_draining,
            last_seen,
            has_left,
        } = message;
        let offer = required(offer, "Runner.offer")?;
        let registered_as = Some(registered_as).filter(|id| !id.is_empty());
        let registered_as = registered_as.map(|id| id_from_bytes(&id, "Runner.registered_as"));
        let registration = Registration {
            display_name,
            offer: Arc::new(Offer::from_message(offer)?),
            capacity: usize::try_from(capacity).unwrap_or(usize::MAX),
            version,
            session_id: SessionId(id_from_bytes(&session_id, "Runner.session_id")?),
            runner_id: registered_as.transpose()?.map(RunnerId),
            owner,
        };
        Ok(Self {
            id: RunnerId(id_from_bytes(&id, "Runner.id")?),
            registration,
            register_time: time_from_nanos(register_time),
            is_draining,
            last_seen: time_from_nanos(last_seen),
            has_left,
        })
    }
}

impl Stored for LeaseRow {
    const KIND: Kind = Kind::Lease;
    type Message = messages::Lease;

    fn to_message(&self) -> Self::Message {
        let Self {
            id,
            token,
            stage: ReadyStage { job_id, run },
            runner_id,
            session_id,
            request_id,
            workspace_exists,
            state,
            expires,
            ends_by,
            overran,
        } = *self;
        messages::Lease {
            id: id_to_bytes(id.0),
            token: token.0,
            job_id: id_to_bytes(job_id.0),
            run: Some(run_key_to_message(run)),
            runner_id: id_to_bytes(runner_id.0),
            session_id: id_to_bytes(session_id.0),
            request_id: id_to_bytes(request_id),
            workspace_exists,
            state: state.number(),
            expires: time_to_nanos(expires),
            ends_by: ends_by.map(time_to_nanos),
            overran,
        }
    }

    fn from_message(message: Self::Message) -> Result<Self, CodecError> {
        let messages::Lease {
            id,
            token,
            job_id,
            run,
            runner_id,
            session_id,
            request_id,
            workspace_exists,
            state,
            expires,
            ends_by,
            overran,
        } = message;
        let stage = ReadyStage {
            job_id: JobId(id_from_bytes(&job_id, "Lease.job_id")?),
            run: run_key_from_message(required(run, "Lease.run")?),
        };
        Ok(Self {
            id: LeaseId(id_from_bytes(&id, "Lease.id")?),
            token: FencingToken(token),
            stage,
            runner_id: RunnerId(id_from_bytes(&runner_id, "Lease.runner_id")?),
            session_id: SessionId(id_from_bytes(&session_id, "Lease.session_id")?),
            request_id: id_from_bytes(&request_id, "Lease.request_id")?,
            workspace_exists,
            state: Numbered::from_number(state, "Lease.state")?,
            expires: time_from_nanos(expires),
            ends_by: ends_by.map(time_from_nanos),
            overran,
        })
    }
}

impl Numbered for LeaseState {
    fn number(self) -> i32 {
        i32::from(match self {
            Self::Offered => messages::LeaseState::Offered,
            Self::Confirmed => messages::LeaseState::Confirmed,
            Self::Ended => messages::LeaseState::Ended,
            Self::Void { was_confirmed } => {
                if was_confirmed {
                    messages::LeaseState::VoidConfirmed
                } else {
                    messages::LeaseState::VoidOffered
                }
            }
        })
    }

    fn from_number(number: i32, field: &'static str) -> Result<Self, CodecError> {
        let void = |was_confirmed| Self::Void { was_confirmed };
        Ok(match messages::LeaseState::try_from(number) {
            Ok(messages::LeaseState::Offered) => Self::Offered,
            Ok(messages::LeaseState::Confirmed) => Self::Confirmed,
            Ok(messages::LeaseState::Ended) => Self::Ended,
            Ok(messages::LeaseState::VoidOffered) => void(false),
            Ok(messages::LeaseState::VoidConfirmed) => void(true),
            Ok(messages::LeaseState::Unspecified) | Err(_) => {
                let found = number;
                return Err(CodecError::UnknownValue { field, found });
            }
        })
    }
}
