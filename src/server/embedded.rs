//! The runner in the process of the service.

use std::{collections::BTreeMap, env::consts, fs, sync::Arc};

use tokio_util::sync::CancellationToken;

use crate::{
    config::{EmbeddedRunner, Execution},
    engine::{Engine, Leases},
    runner::{Runner, RunnerError, RunnerSettings, ServicePlace},
};

use super::{ServeError, unusable};

/// Open files of the process itself: standard streams, the listener, the runtime, the locks
/// of directories, and files that are reloaded when they change.
const FILES_OF_THE_PROCESS: u64 = 24;
/// Maximum of open files of a stage: the pipes of its supervisor while that starts, its log,
/// and the files that the preparation and the removal of its workspace read.
const FILES_OF_A_STAGE: u64 = 12;

/// A runner in this process, if the settings have one.
pub(super) async fn prepare(
    engine: &Arc<Engine>,
    settings: Option<EmbeddedRunner>,
) -> Result<Option<Runner>, ServeError> {
    let Some(settings) = settings else {
        return Ok(None);
    };
    let settings = RunnerSettings {
        display_name: "embedded".to_owned(),
        labels: embedded_labels(),
        capacity: settings.workers,
        execution: settings.execution,
        supervision: settings.supervision,
        service: ServicePlace::ThisProcess,
    };
    let leases: Arc<dyn Leases> = Arc::new(engine.runners().embedded_leases());
    let prepared = Runner::prepare(leases, settings).await;
    prepared.map(Some).map_err(ServeError::Unprepared)
}

/// Files that the process and the stages of its runner may have open at the same time.
pub(super) fn open_files(runner: Option<&EmbeddedRunner>) -> u64 {
    let workers = runner.map_or(0, |runner| runner.workers as u64);
    workers
        .saturating_mul(FILES_OF_A_STAGE)
        .saturating_add(FILES_OF_THE_PROCESS)
}

/// Runs stages until `stop`.
pub(super) async fn run(
    runner: Option<Runner>,
    stop: CancellationToken,
) -> Result<(), RunnerError> {
    let Some(runner) = runner else {
        stop.cancelled().await;
        return Ok(());
    };
    runner.run(stop).await
}

/// The labels of the embedded runner: the operating system and the architecture, with
/// the names of Rust.
pub fn embedded_labels() -> BTreeMap<String, String> {
    BTreeMap::from([
        ("os".to_owned(), consts::OS.to_owned()),
        ("arch".to_owned(), consts::ARCH.to_owned()),
    ])
}

/// Checks that workspaces can be created, before the service accepts calls.
pub(super) fn check_workspaces(runner: Option<&EmbeddedRunner>) -> Result<(), ServeError> {
    if let Some(runner) = runner
        && let Execution::Isolated {
            workspace_dir: Some(directory),
            ..
        } = &runner.execution
    {
        fs::create_dir_all(directory)
            .and_then(|()| tempfile::tempfile_in(directory).map(drop))
            .map_err(unusable("workspace directory", directory))?;
    }
    Ok(())
}
