use std::{io, path::PathBuf};

use tokio::{fs::OpenOptions, io::AsyncWriteExt};

use crate::{domain::LeaseId, runner::workspace::Workspace};

/// Writes the stage's command to a file that only the runner's user can read.
pub(super) async fn write(
    workspace: &Workspace,
    lease_id: LeaseId,
    command: &str,
) -> io::Result<PathBuf> {
    // Never the stage's name: it may be any text.
    let path = workspace.scratch().join(format!("{lease_id}.sh"));
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)
        .await?;
    file.write_all(command.as_bytes()).await?;
    file.flush().await?;
    Ok(path)
}
