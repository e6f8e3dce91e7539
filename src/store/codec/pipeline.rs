use std::{sync::Arc, time::Duration};

use crate::domain::{
    ConcurrencyPolicy, Pipeline, PipelineId, PipelineSpec, RunCondition, Stage, StageAction,
    StageGraph, StageType,
};

use super::{
    CodecError, Kind, Seal, Stored,
    envelope::{pack, unpack},
    messages,
    primitives::{
        Numbered, duration_to_nanos, id_from_bytes, id_to_bytes, numbered, required,
        time_from_nanos, time_to_nanos,
    },
    seal::{open_all, seal_all},
};

/// The part of a pipeline that changes with every job and every revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PipelineHead {
    pub id: PipelineId,
    pub newest_revision: i64,
    /// Increases whenever a revision or a job is created.
    pub version: u64,
    /// Count of all jobs ever created from it.
    pub jobs_created: i64,
    /// The pipeline is deleted; only the revisions that stored jobs refer to are left.
    pub deleted: bool,
    /// The oldest revision that is kept whether jobs run it or not; 0 if it is only known that
    /// as many are kept as there may be.
    pub oldest_revision: i64,
}

numbered!(StageType: Run, Build, Deploy);
numbered!(RunCondition: OnSuccess, OnFailure, Always);
numbered!(ConcurrencyPolicy: Allow, Queue, CancelRunning);

/// Encodes a revision. Its secrets are sealed under `pipelines/ID/NAME`.
pub fn encode_pipeline(pipeline: &Pipeline, seal: &dyn Seal) -> Vec<u8> {
    let Pipeline {
        id,
        project,
        revision,
        create_time,
        update_time,
        creator,
        spec,
        graph: _,
    } = pipeline;
    let message = messages::PipelineRevision {
        id: id_to_bytes(id.0),
        project: project.clone(),
        revision: *revision,
        create_time: time_to_nanos(*create_time),
        update_time: time_to_nanos(*update_time),
        creator: creator.clone(),
        spec: Some(spec_to_message(spec, &owner(*id), seal)),
    };
    pack(Kind::PipelineRevision, &message)
}

/// Decodes a revision. It is not validated again: the rules may have become
/// stricter since it was accepted, and its jobs must be able to continue.
pub fn decode_pipeline(stored: &[u8], seal: &dyn Seal) -> Result<Pipeline, CodecError> {
    let messages::PipelineRevision {
        id,
        project,
        revision,
        create_time,
        update_time,
        creator,
        spec,
    } = unpack(Kind::PipelineRevision, stored)?;
    let id = PipelineId(id_from_bytes(&id, "PipelineRevision.id")?);
    let spec = required(spec, "PipelineRevision.spec")?;
    let spec = spec_from_message(spec, &owner(id), seal)?;
    let graph = StageGraph::new(&spec).map_err(|error| CodecError::Graph {
        pipeline_id: id,
        revision,
        error,
    })?;
    Ok(Pipeline {
        id,
        project,
        revision,
        create_time: time_from_nanos(create_time),
        update_time: time_from_nanos(update_time),
        creator,
        spec,
        graph: Arc::new(graph),
    })
}

fn owner(id: PipelineId) -> String {
    format!("pipelines/{id}")
}

fn spec_to_message(spec: &PipelineSpec, owner: &str, seal: &dyn Seal) -> messages::PipelineSpec {
    let PipelineSpec {
        name,
        git_repository,
        default_ref,
        stages,
        parallel,
        variables,
        secret_variables,
        concurrency_policy,
        annotations,
    } = spec;
    messages::PipelineSpec {
        name: name.clone(),
        git_repository: git_repository.clone(),
        default_ref: default_ref.clone(),
        stages: stages.iter().map(stage_to_message).collect(),
        parallel: *parallel,
        variables: variables.clone(),
        secret_variables: seal_all(secret_variables, owner, seal),
        concurrency_policy: concurrency_policy.number(),
        annotations: annotations.clone(),
    }
}

fn spec_from_message(
    spec: messages::PipelineSpec,
    owner: &str,
    seal: &dyn Seal,
) -> Result<PipelineSpec, CodecError> {
    let messages::PipelineSpec {
        name,
        git_repository,
        default_ref,
        stages,
        parallel,
        variables,
        secret_variables,
        concurrency_policy,
        annotations,
    } = spec;
    let stages: Result<Arc<[Stage]>, _> = stages.into_iter().map(stage_from_message).collect();
    Ok(PipelineSpec {
        name,
        git_repository,
        default_ref,
        stages: stages?,
        parallel,
        variables,
        secret_variables: open_all(secret_variables, owner, seal)?,
        concurrency_policy: Numbered::from_number(
            concurrency_policy,
            "PipelineSpec.concurrency_policy",
        )?,
        annotations,
    })
}

fn stage_to_message(stage: &Stage) -> messages::Stage {
    let Stage {
        name,
        stage_type,
        action,
        timeout,
        needs,
        run_condition,
        variables,
        runner_labels,
        working_directory,
    } = stage;
    messages::Stage {
        name: name.clone(),
        stage_type: stage_type.number(),
        action: Some(match action {
            StageAction::Command(script) => messages::stage::Action::Command(script.clone()),
        }),
        timeout_nanos: duration_to_nanos(*timeout),
        needs: needs.clone(),
        run_condition: run_condition.number(),
        variables: variables.clone(),
        runner_labels: runner_labels.clone(),
        working_directory: working_directory.clone(),
    }
}

fn stage_from_message(stage: messages::Stage) -> Result<Stage, CodecError> {
    let messages::Stage {
        name,
        stage_type,
        action,
        timeout_nanos,
        needs,
        run_condition,
        variables,
        runner_labels,
        working_directory,
    } = stage;
    let field = "Stage.action";
    let action = match action.ok_or(CodecError::UnknownCase { field })? {
        messages::stage::Action::Command(script) => StageAction::Command(script),
    };
    Ok(Stage {
        name,
        stage_type: Numbered::from_number(stage_type, "Stage.stage_type")?,
        action,
        timeout: Duration::from_nanos(timeout_nanos),
        needs,
        run_condition: Numbered::from_number(run_condition, "Stage.run_condition")?,
        variables,
        runner_labels,
        working_directory,
    })
}

impl Stored for PipelineHead {
    const KIND: Kind = Kind::PipelineHead;
    type Message = messages::PipelineHead;

    fn to_message(&self) -> Self::Message {
        let Self {
            id,
            newest_revision,
            version,
            jobs_created,
            deleted,
            oldest_revision,
        } = *self;
        messages::PipelineHead {
            id: id_to_bytes(id.0),
            newest_revision,
            version,
            jobs_created,
            deleted,
            oldest_revision,
        }
    }

    fn from_message(message: Self::Message) -> Result<Self, CodecError> {
        let messages::PipelineHead {
            id,
            newest_revision,
            version,
            jobs_created,
            deleted,
            oldest_revision,
        } = message;
        Ok(Self {
            id: PipelineId(id_from_bytes(&id, "PipelineHead.id")?),
            newest_revision,
            version,
            jobs_created,
            deleted,
            oldest_revision,
        })
    }
}
