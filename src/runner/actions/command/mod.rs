//! Runs a shell command.

mod ending;
mod environment;
mod progress;
mod script;

use std::{collections::BTreeMap, io};

use secrecy::SecretString;
use tokio::task::spawn_blocking;
use tracing::info;

use super::Context;
use crate::{
    runner::{
        leases::{Ended, Failure},
        log,
        mask::{Masker, is_maskable},
        process::Output,
    },
    supervisor::Command,
};
use environment::{environment, exposed};

/// Runs `text` as a script of `/bin/sh -e` in the stage's working directory.
pub(super) async fn run(text: &str, context: Context<'_>) -> Result<Ended, Failure> {
    let Context {
        lease,
        launcher,
        work,
        workspace,
    } = context;
    let directory = workspace
        .start_directory(&work.working_directory)
        .map_err(Failure::Runner)?;
    let script = script::write(workspace, lease.proof.token, text)
        .await
        .map_err(|error| Failure::Runner(format!("could not write the script: {error}")))?;
    if let Some(cause) = lease.stop.cause() {
        return Err(Failure::Stopped(cause));
    }
    // Beside the script, outside of the directory that the command works in.
    let progress = script.with_extension("progress");
    let mut environment = environment(work, workspace, lease.commit());
    environment.insert("PIPEWRIGHT_PROGRESS".into(), progress.clone().into());
    let command = Command {
        program: "/bin/sh".into(),
        // A script file: no value is ever inserted into its text.
        args: vec!["-e".into(), script.into()],
        directory,
        environment: environment.into_iter().collect(),
    };
    let masker = masker(&work.secret_variables).await;
    let running = launcher.run(command, |output| log::ship(lease, output, masker));
    let ended = tokio::select! {
        ended = running => ended,
        never = progress::report(lease, &progress) => match never {},
    };
    let (exit, shipped) = ended.map_err(|error| Failure::Runner(error.to_string()))?;
    Ok(Ended {
        ending: ending::ending(&exit, text, &shipped),
        log_size: shipped.size,
        log_incomplete: shipped.is_incomplete,
    })
}

/// A masker of the secrets. Built on a blocking thread: for long secrets that takes a
/// while.
async fn masker(secrets: &BTreeMap<String, SecretString>) -> Masker {
    if secrets.is_empty() {
        return Masker::default();
    }
    for (name, _) in exposed(secrets).filter(|(_, value)| !is_maskable(value)) {
        info!(secret = %name, "not masked in the log: it has fewer than 4 bytes on each line");
    }
    let secrets = secrets.clone();
    let made = spawn_blocking(move || Masker::new(exposed(&secrets).map(|(_, value)| value)));
    made.await.expect("making a masker does not panic")
}

impl log::Source for Output {
    fn read(&mut self, buffer: &mut [u8]) -> impl Future<Output = io::Result<usize>> + Send {
        Output::read(self, buffer)
    }
}
