use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Files that the store, the logs and the stages may open besides the connections.
const OTHERS: u64 = 512;

/// Raises the soft limit of open files to what this many connections need, at most to the
/// hard limit.
pub(super) fn allow_connections(connections: usize) {
    let wanted = (connections as u64).saturating_add(OTHERS);
    if let Err(error) = raise(wanted) {
        tracing::warn!(%error, wanted, "cannot raise the limit of open files");
    }
}

fn raise(wanted: u64) -> nix::Result<()> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if hard < wanted {
        tracing::info!(
            hard,
            wanted,
            "the hard limit of open files (ulimit -Hn) is lower than max_connections needs"
        );
    }
    if soft < wanted && soft < hard {
        setrlimit(Resource::RLIMIT_NOFILE, wanted.min(hard), hard)?;
    }
    Ok(())
}
