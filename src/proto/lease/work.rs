//! The work of a lease.

use secrecy::{ExposeSecret, SecretString};

use crate::{
    domain::{StageAction, lease::StageWork},
    proto::time::{duration_from_proto, duration_to_proto},
};

use super::v1;

pub(super) fn work_to_proto(work: StageWork) -> v1::StageWork {
    let StageWork {
        job_id,
        stage_name,
        attempt,
        action,
        timeout,
        kill_grace,
        git_repository,
        git_ref,
        commit_id,
        variables,
        secret_variables,
        working_directory,
        workspace_exists,
    } = work;
    let secrets = secret_variables.into_iter();
    v1::StageWork {
        job_id: job_id.to_string(),
        stage_name,
        attempt: i32::try_from(attempt).unwrap_or(i32::MAX),
        action: Some(match action {
            StageAction::Command(script) => v1::stage_work::Action::Command(script),
        }),
        timeout: Some(duration_to_proto(timeout)),
        git_repository,
        git_ref,
        commit_id,
        variables,
        working_directory,
        kill_grace: Some(duration_to_proto(kill_grace)),
        workspace_exists,
        secret_variables: secrets
            .map(|(name, value)| (name, value.expose_secret().to_owned()))
            .collect(),
    }
}

/// None for an action that this version does not know.
pub(super) fn work_from_proto(work: v1::StageWork) -> Result<Option<StageWork>, String> {
    let v1::StageWork {
        job_id,
        stage_name,
        attempt,
        action,
        timeout,
        git_repository,
        git_ref,
        commit_id,
        variables,
        working_directory,
        kill_grace,
        workspace_exists,
        secret_variables,
    } = work;
    let action = match action {
        Some(v1::stage_work::Action::Command(script)) => StageAction::Command(script),
        None => return Ok(None),
    };
    let secrets = secret_variables.into_iter();
    Ok(Some(StageWork {
        job_id: job_id
            .parse()
            .map_err(|_| format!("'{job_id}' is no job's id"))?,
        stage_name,
        attempt: u32::try_from(attempt).unwrap_or(1),
        action,
        timeout: duration_from_proto(timeout.unwrap_or_default())?,
        kill_grace: duration_from_proto(kill_grace.unwrap_or_default())?,
        git_repository,
        git_ref,
        commit_id,
        variables,
        secret_variables: secrets
            .map(|(name, value)| (name, SecretString::from(value)))
            .collect(),
        working_directory,
        workspace_exists,
    }))
}
