//! `Debug` of the messages that contain secrets: it shows only the secrets' names. The macro
//! destructures, so that a new field of the API does not compile until it is listed here.

use std::{collections::BTreeMap, fmt};

use super::{runner_v1, v1};

/// Names without values.
struct Names<'a>(&'a BTreeMap<String, String>);

impl fmt::Debug for Names<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

macro_rules! debug_without_secrets {
    ($package:ident::$message:ident: $($field:ident),*) => {
        impl fmt::Debug for $package::$message {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let Self { $($field,)* secret_variables } = self;
                f.debug_struct(stringify!($message))
                    $(.field(stringify!($field), $field))*
                    .field("secret_variables", &Names(secret_variables))
                    .finish()
            }
        }
    };
}

debug_without_secrets!(
    v1::Pipeline: id, project, name, git_repository, default_ref, stages, parallel, variables,
    concurrency_policy, annotations, revision, etag, create_time, update_time, creator,
    secret_variable_names
);
debug_without_secrets!(
    v1::TriggerPipelineRequest: pipeline_id, revision, git_ref, variables, priority, request_id,
    validate_only
);

debug_without_secrets!(
    runner_v1::StageWork: job_id, stage_name, attempt, timeout, git_repository, git_ref, commit_id,
    variables, working_directory, kill_grace, workspace_exists, action
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_shown_and_values_are_not() {
        let secrets = BTreeMap::from([("TOKEN".to_owned(), "hunter2-pass".to_owned())]);
        let create = v1::CreatePipelineRequest {
            pipeline: Some(v1::Pipeline {
                secret_variables: secrets.clone(),
                ..Default::default()
            }),
            ..Default::default()
        };
        let trigger = v1::TriggerPipelineRequest {
            secret_variables: secrets.clone(),
            ..Default::default()
        };
        let work = runner_v1::StageWork {
            secret_variables: secrets,
            ..Default::default()
        };
        for shown in [
            format!("{create:?}"),
            format!("{trigger:?}"),
            format!("{work:?}"),
        ] {
            assert!(
                shown.contains("TOKEN") && !shown.contains("hunter2"),
                "{shown}"
            );
        }
    }
}
