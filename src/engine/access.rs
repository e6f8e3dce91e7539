//! Who may touch what. Whatever is loaded for a call is checked here first: what the
//! caller may not see is as if it were not there.

use std::collections::BTreeSet;

use crate::{
    auth::{Authority, Denied, Role},
    domain::{Job, Pipeline},
};

use super::{Call, Error};

/// Refuses a project that the caller may not work in.
pub(super) fn check_project(call: &Call, project: &str) -> Result<(), Error> {
    let absent = || Error::ProjectNotFound(project.to_owned());
    check(call.authority.over(project), project, absent)
}

/// Refuses to start a job of a pipeline, or to act on one, for a caller who may act only on
/// jobs that deploy nothing. Everything that triggers, retries or cancels a job asks this,
/// with the revision that the job runs.
pub(super) fn check_deploy(call: &Call, pipeline: &Pipeline) -> Result<(), Error> {
    if !pipeline.spec.deploys() {
        return Ok(());
    }
    let needed = call.authority.needed.max(Role::Deployer);
    let absent = || Error::PipelineNotFound(pipeline.id.to_string());
    let project = &pipeline.project;
    check(call.authority.over_with(project, needed), project, absent)
}

/// Refuses a pipeline that the caller may not work with.
pub(super) fn check_pipeline(call: &Call, pipeline: &Pipeline) -> Result<(), Error> {
    let absent = || Error::PipelineNotFound(pipeline.id.to_string());
    let project = &pipeline.project;
    check(call.authority.over(project), project, absent)
}

/// Refuses a job that the caller may not work with.
pub(super) fn check_job(call: &Call, job: &Job) -> Result<(), Error> {
    let absent = || Error::JobNotFound(job.id.to_string());
    let project = &job.pipeline.project;
    check(call.authority.over(project), project, absent)
}

fn check(
    allowed: Result<(), Denied>,
    project: &str,
    absent: impl FnOnce() -> Error,
) -> Result<(), Error> {
    allowed.map_err(|denied| match denied {
        Denied::Hidden => absent(),
        Denied::Lacks(needed) => Error::RoleLacking {
            needed,
            project: project.to_owned(),
        },
    })
}

/// The projects of a list: those that are asked for, of those that the caller sees.
pub(super) fn narrowed(
    authority: &Authority,
    wanted: Option<BTreeSet<String>>,
) -> Option<BTreeSet<String>> {
    let seen = authority.principal.grants.projects(authority.needed);
    match (wanted, seen) {
        (wanted, None) => wanted,
        (None, seen) => seen,
        (Some(wanted), Some(seen)) => Some(wanted.intersection(&seen).cloned().collect()),
    }
}
