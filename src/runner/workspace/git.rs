//! Runs git commands that an untrusted repository cannot make run anything else.

use std::{iter, path::Path};

use super::git_error::GitError;
use crate::{
    runner::process::{
        Launcher, Output,
        environment::{self, inherited},
    },
    supervisor::Command,
};

/// Bytes kept of a git command's output; the end of it has the reason.
const SAID_LIMIT: usize = 16 * 1024;

/// Settings that neither the operator's configuration nor a repository may change.
const SETTINGS: &[&str] = &[
    "advice.detachedHead=false",
    "core.askPass=",
    "core.fsmonitor=false",
    "core.hooksPath=/dev/null",
    "core.logAllRefUpdates=false",
    "fetch.recurseSubmodules=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "submodule.recurse=false",
];

const VARIABLES: &[(&str, &str)] = &[
    ("LC_ALL", "C"),
    ("GIT_ALLOW_PROTOCOL", "https:http:ssh"),
    ("GIT_TERMINAL_PROMPT", "0"),
    ("GIT_SSH_COMMAND", "ssh -o BatchMode=yes"),
];

/// Runs git commands in one directory.
pub(super) struct Git<'a> {
    pub(super) directory: &'a Path,
    pub(super) launcher: Launcher<'a>,
}

impl Git<'_> {
    /// Runs one git command and returns its output.
    pub(super) async fn run(&self, args: &[&str]) -> Result<String, GitError> {
        let (exit, said) = self
            .launcher
            .run(self.command(args), said)
            .await
            .map_err(|error| GitError::Other(error.to_string()))?;
        match exit.status.code() {
            _ if exit.cause.is_some() => Err(GitError::Stopped),
            Some(0) => Ok(said),
            Some(127) => Err(GitError::NoGit),
            _ => Err(GitError::from_output(&said)),
        }
    }

    fn command(&self, args: &[&str]) -> Command {
        let settings = SETTINGS.iter().flat_map(|setting| ["-c", setting]);
        let args = iter::once("git")
            .chain(settings)
            .chain(args.iter().copied());
        let variables = VARIABLES
            .iter()
            .map(|(name, value)| (name.into(), value.into()));
        let mut environment = inherited(environment::CHECKOUT);
        environment.extend(variables);
        Command {
            // Finds git, and says so in its status if there is none.
            program: "/usr/bin/env".into(),
            args: args.map(Into::into).collect(),
            directory: self.directory.to_owned(),
            environment,
        }
    }
}

/// The end of a process's output, as text.
async fn said(mut output: Output) -> String {
    let mut said = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(read @ 1..) = output.read(&mut buffer).await {
        said.extend_from_slice(&buffer[..read]);
        let excess = said.len().saturating_sub(SAID_LIMIT);
        said.drain(..excess);
    }
    String::from_utf8_lossy(&said).into_owned()
}
