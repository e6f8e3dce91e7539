//! The immutable part of a job.

use std::sync::Arc;

use crate::domain::{JobId, Origin, PipelineId, TraceContext, Trigger, TriggerSource};

use super::{
    CodecError, Revisions, Seal, messages,
    primitives::{
        Numbered, id_from_bytes, id_to_bytes, numbered, required, time_from_nanos, time_to_nanos,
    },
    seal::{open_all, seal_all},
    stage_run::job_id,
};

numbered!(TriggerSource: Api, Retry);

pub(super) fn origin_to_message(origin: &Origin, seal: &dyn Seal) -> messages::Origin {
    let Origin {
        id,
        pipeline,
        number,
        git_ref,
        trigger,
        retried_job_id,
        variables,
        secret_variables,
        priority,
        weights,
        create_time,
    } = origin;
    messages::Origin {
        id: id_to_bytes(id.0),
        pipeline_id: id_to_bytes(pipeline.id.0),
        pipeline_revision: pipeline.revision,
        number: *number,
        git_ref: git_ref.clone(),
        trigger: Some(trigger_to_message(trigger)),
        retried_job_id: retried_job_id.map(|id| id_to_bytes(id.0)),
        variables: variables.clone(),
        secret_variables: seal_all(secret_variables, &owner(*id), seal),
        priority: *priority,
        weights: weights.clone(),
        create_time: time_to_nanos(*create_time),
    }
}

pub(super) fn origin_from_message(
    origin: messages::Origin,
    seal: &dyn Seal,
    revisions: Revisions<'_>,
) -> Result<Origin, CodecError> {
    let messages::Origin {
        id,
        pipeline_id,
        pipeline_revision: revision,
        number,
        git_ref,
        trigger,
        retried_job_id,
        variables,
        secret_variables,
        priority,
        weights,
        create_time,
    } = origin;
    let id = JobId(id_from_bytes(&id, "Origin.id")?);
    let pipeline_id = PipelineId(id_from_bytes(&pipeline_id, "Origin.pipeline_id")?);
    Ok(Origin {
        id,
        pipeline: revisions(pipeline_id, revision).ok_or(CodecError::UnknownRevision {
            pipeline_id,
            revision,
        })?,
        number,
        git_ref,
        trigger: trigger_from_message(required(trigger, "Origin.trigger")?)?,
        retried_job_id: job_id(retried_job_id, "Origin.retried_job_id")?,
        variables,
        secret_variables: open_all(secret_variables, &owner(id), seal)?,
        priority,
        weights,
        create_time: time_from_nanos(create_time),
    })
}

fn owner(id: JobId) -> String {
    format!("jobs/{id}")
}

fn trigger_to_message(trigger: &Trigger) -> messages::Trigger {
    let Trigger {
        source,
        principal,
        trace,
    } = trigger;
    messages::Trigger {
        source: source.number(),
        principal: principal.clone(),
        trace: trace.as_deref().map(|trace| messages::TraceContext {
            parent: trace.parent().to_owned(),
            state: trace.state().to_owned(),
        }),
    }
}

fn trigger_from_message(trigger: messages::Trigger) -> Result<Trigger, CodecError> {
    let messages::Trigger {
        source,
        principal,
        trace,
    } = trigger;
    Ok(Trigger {
        source: Numbered::from_number(source, "Trigger.source")?,
        principal,
        trace: trace.map(trace_from_message).transpose()?,
    })
}

fn trace_from_message(trace: messages::TraceContext) -> Result<Arc<TraceContext>, CodecError> {
    let messages::TraceContext { parent, state } = trace;
    let read = TraceContext::read(&parent, &state);
    read.map(Arc::new).ok_or_else(|| CodecError::Invalid {
        field: "TraceContext.parent",
        found: format!("{parent:?}"),
        expected: "a W3C traceparent",
    })
}
