//! What a runner receives for a stage.

use std::{collections::BTreeMap, time::Duration};

use secrecy::SecretString;

use crate::domain::{FencingToken, Job, Secrets, StageRun, Variables, lease::StageWork};

pub(super) fn stage_work(
    job: &Job,
    run: &StageRun,
    token: FencingToken,
    kill_grace: Duration,
    workspace_exists: bool,
) -> StageWork {
    let stage = job.stage(run);
    let Environment {
        variables,
        secret_variables,
    } = environment(job, run, token);
    StageWork {
        job_id: job.id,
        stage_name: stage.name.clone(),
        attempt: run.attempt,
        action: stage.action.clone(),
        timeout: stage.timeout,
        kill_grace,
        git_repository: job.pipeline.spec.git_repository.clone(),
        git_ref: job.git_ref.clone(),
        commit_id: job.commit_id.clone(),
        variables,
        secret_variables,
        working_directory: stage.working_directory.clone(),
        workspace_exists,
    }
}

/// The environment of a command, but for what its runner adds.
struct Environment {
    /// Plain variables: they may be shown.
    variables: Variables,
    /// Secrets, never shown; no name is in both maps.
    secret_variables: BTreeMap<String, SecretString>,
}

/// The trace that the job is part of, by the names that tools look for.
fn trace(job: &Job) -> Vec<(String, String)> {
    let Some(trace) = &job.trigger.trace else {
        return Vec::new();
    };
    let parent = ("TRACEPARENT".to_owned(), trace.parent().to_owned());
    let state = ("TRACESTATE".to_owned(), trace.state().to_owned());
    let told = |(_, value): &(String, String)| !value.is_empty();
    [parent, state].into_iter().filter(told).collect()
}

/// The trigger's variables win over the stage's, and these over the pipeline's, secret
/// or not. None of them can have a name that the service sets.
fn environment(job: &Job, run: &StageRun, token: FencingToken) -> Environment {
    let spec = &job.pipeline.spec;
    let mut environment = Environment {
        variables: Variables::new(),
        secret_variables: BTreeMap::new(),
    };
    environment.variables.extend(trace(job));
    environment.add(&spec.variables, &spec.secret_variables);
    environment.add(&job.stage(run).variables, &Secrets::default());
    environment.add(&job.variables, &job.secret_variables);
    environment.variables.extend(own(job, run, token));
    environment
}

impl Environment {
    fn add(&mut self, variables: &Variables, secrets: &Secrets) {
        for (name, value) in variables {
            self.secret_variables.remove(name);
            self.variables.insert(name.clone(), value.clone());
        }
        for (name, value) in secrets.iter() {
            self.variables.remove(name);
            self.secret_variables.insert(name.clone(), value.clone());
        }
    }
}

fn own(job: &Job, run: &StageRun, token: FencingToken) -> impl Iterator<Item = (String, String)> {
    let pipeline = &job.pipeline;
    let own = [
        ("CI", "true".to_owned()),
        ("PIPEWRIGHT_PROJECT", pipeline.project.clone()),
        ("PIPEWRIGHT_PIPELINE_ID", pipeline.id.to_string()),
        ("PIPEWRIGHT_PIPELINE_NAME", pipeline.spec.name.clone()),
        ("PIPEWRIGHT_JOB_ID", job.id.to_string()),
        ("PIPEWRIGHT_STAGE_NAME", job.stage(run).name.clone()),
        ("PIPEWRIGHT_ATTEMPT", run.attempt.to_string()),
        ("PIPEWRIGHT_GIT_REF", job.git_ref.clone()),
        ("PIPEWRIGHT_FENCING_TOKEN", token.0.to_string()),
    ];
    own.into_iter()
        .map(|(name, value)| (name.to_owned(), value))
}
