use std::{collections::BTreeMap, env, ffi::OsString};

use secrecy::{ExposeSecret, SecretString};

use crate::runner::{
    StageWork,
    process::environment::{COMMAND, inherited},
    workspace::Workspace,
};

/// The command's whole environment; later variables override earlier ones.
pub(super) fn environment(
    work: &StageWork,
    workspace: &Workspace,
    commit: Option<&str>,
) -> BTreeMap<OsString, OsString> {
    let mut environment: BTreeMap<_, _> = match &workspace.home {
        Some(home) => {
            let home = ("HOME".into(), home.into());
            inherited(COMMAND).into_iter().chain([home]).collect()
        }
        None => env::vars_os().collect(),
    };
    let variables = work.variables.iter();
    environment.extend(variables.map(|(name, value)| (name.into(), value.into())));
    let secrets = exposed(&work.secret_variables);
    environment.extend(secrets.map(|(name, value)| (name.into(), value.into())));
    environment.extend(commit.map(|commit| ("PIPEWRIGHT_COMMIT_ID".into(), commit.into())));
    environment
}

pub(super) fn exposed(
    secrets: &BTreeMap<String, SecretString>,
) -> impl Iterator<Item = (&String, &str)> {
    let secrets = secrets.iter();
    secrets.map(|(name, value)| (name, value.expose_secret()))
}
