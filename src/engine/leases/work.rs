//! What a runner is told of a stage.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    domain::{FencingToken, Job, StageRun, Variables},
    runner::StageWork,
};

pub(super) fn stage_work(
    job: &Job,
    run: &StageRun,
    token: FencingToken,
    kill_grace: Duration,
    workspace_exists: bool,
) -> StageWork {
    let stage = job.stage(run);
    StageWork {
        job_id: job.id,
        stage_name: stage.name.clone(),
        attempt: run.attempt,
        command: stage.command.clone(),
        timeout: stage.timeout,
        kill_grace,
        git_repository: job.pipeline.spec.git_repository.clone(),
        git_ref: job.git_ref.clone(),
        commit_id: job.commit_id.clone(),
        variables: environment(job, run, token),
        secret_variables: BTreeMap::new(),
        working_directory: stage.working_directory.clone(),
        workspace_exists,
    }
}

/// The trigger's variables win over the stage's, and these over the pipeline's.
/// None of them can have a name that the service sets.
fn environment(job: &Job, run: &StageRun, token: FencingToken) -> Variables {
    let stage = job.stage(run);
    let pipeline = &job.pipeline;
    let given = [&pipeline.spec.variables, &stage.variables, &job.variables];
    let given = given
        .into_iter()
        .flatten()
        .map(|(k, v)| (k.clone(), v.clone()));
    let own = [
        ("CI", "true".to_owned()),
        ("PIPEWRIGHT_PROJECT", pipeline.project.clone()),
        ("PIPEWRIGHT_PIPELINE_ID", pipeline.id.to_string()),
        ("PIPEWRIGHT_PIPELINE_NAME", pipeline.spec.name.clone()),
        ("PIPEWRIGHT_JOB_ID", job.id.to_string()),
        ("PIPEWRIGHT_STAGE_NAME", stage.name.clone()),
        ("PIPEWRIGHT_ATTEMPT", run.attempt.to_string()),
        ("PIPEWRIGHT_GIT_REF", job.git_ref.clone()),
        ("PIPEWRIGHT_FENCING_TOKEN", token.0.to_string()),
    ];
    given
        .chain(own.map(|(name, value)| (name.to_owned(), value)))
        .collect()
}
