use std::{io, path::PathBuf};

use tokio::{fs::OpenOptions, io::AsyncWriteExt};

use crate::{domain::FencingToken, runner::workspace::Workspace};

/// Writes the stage's command to a file that only the runner's user can read.
pub(super) async fn write(
    workspace: &Workspace,
    token: FencingToken,
    command: &str,
) -> io::Result<PathBuf> {
    // Never the stage's name: it may be any text. Never the lease's id, either: a command that
    // knew it could write under the lease. No two leases have the same token.
    let name = format!("stage-{}.sh", token.0);
    let path = workspace.scratch().join(name);
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
