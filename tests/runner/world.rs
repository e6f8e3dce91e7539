//! A running runner and its surroundings.

use std::{
    collections::BTreeMap, fs, os::unix::ffi::OsStrExt, path::PathBuf, process::Command, sync::Arc,
    time::Duration,
};

use pipewright::{
    config::{Execution, Supervision},
    domain::JobId,
    domain::StageAction,
    runner::{self, Completion, RunnerError, RunnerSettings, ServicePlace, StageWork},
};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};
use uuid::Uuid;

use crate::fake_leases::FakeLeases;

pub(crate) struct World {
    pub(crate) leases: Arc<FakeLeases>,
    pub(crate) dir: TempDir,
    stop: DropGuard,
    runner: JoinHandle<Result<(), RunnerError>>,
}

impl World {
    /// A runner for two concurrent stages, with workspaces in the world's directory.
    pub(crate) fn isolated() -> Self {
        Self::guarded(supervision())
    }

    /// The same, with the test's own guards.
    pub(crate) fn guarded(supervision: Supervision) -> Self {
        let dir = TempDir::new().unwrap();
        let execution = Execution::Isolated {
            workspace_dir: Some(dir.path().join("jobs")),
            keep_workspaces: false,
        };
        Self::start(dir, execution, supervision)
    }

    /// A runner that starts commands in the world's directory.
    pub(crate) fn in_place() -> Self {
        let dir = TempDir::new().unwrap();
        let directory = dir.path().to_owned();
        Self::start(dir, Execution::InPlace { directory }, supervision())
    }

    fn start(dir: TempDir, execution: Execution, supervision: Supervision) -> Self {
        let leases = Arc::new(FakeLeases::default());
        let stop = CancellationToken::new();
        let settings = RunnerSettings {
            display_name: "test".into(),
            labels: BTreeMap::new(),
            capacity: 2,
            execution,
            supervision,
            service: ServicePlace::ThisProcess,
        };
        let runner = tokio::spawn(runner::run(leases.clone(), settings, stop.clone()));
        Self {
            leases,
            dir,
            stop: stop.drop_guard(),
            runner,
        }
    }

    /// Runs one stage to its end; returns its completion and its log.
    pub(crate) async fn run(&self, work: StageWork) -> (Completion, Vec<u8>) {
        self.leases.give(work).done().await
    }

    pub(crate) fn fifo(&self, name: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        let status = Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(status.success());
        path
    }

    /// Stops the runner and checks that no workspace is left.
    pub(crate) async fn finish(self) {
        drop(self.stop);
        self.runner.await.unwrap().unwrap();
        if let Ok(mut left) = fs::read_dir(self.dir.path().join("jobs")) {
            assert!(left.next().is_none(), "a workspace is left");
        }
    }

    /// Drops the runner in the middle of its work.
    pub(crate) fn abort(&self) {
        self.runner.abort();
    }

    /// Waits for a runner that cannot start.
    pub(crate) async fn fails(self) -> RunnerError {
        self.runner.await.unwrap().unwrap_err()
    }

    /// Waits for a runner that ends by itself.
    pub(crate) async fn ends_by_itself(self) {
        let (stop, runner) = (self.stop, self.runner);
        runner.await.unwrap().unwrap();
        drop(stop);
    }
}

/// The default guards, with the real binary: a test binary cannot supervise.
pub(crate) fn supervision() -> Supervision {
    Supervision {
        program: Some(env!("CARGO_BIN_EXE_pipewright").into()),
        ..Supervision::default()
    }
}

/// A stage of a job of its own, with a long timeout.
pub(crate) fn work(command: &str) -> StageWork {
    StageWork {
        job_id: JobId(Uuid::now_v7()),
        stage_name: "../any \"text\"; of $(id)".into(),
        attempt: 1,
        action: StageAction::Command(command.into()),
        timeout: Duration::from_secs(300),
        kill_grace: Duration::from_secs(300),
        git_repository: String::new(),
        git_ref: String::new(),
        commit_id: String::new(),
        variables: BTreeMap::new(),
        secret_variables: BTreeMap::new(),
        working_directory: String::new(),
        workspace_exists: false,
    }
}

/// The same with a path in the variable `FIFO`.
pub(crate) fn work_with_fifo(command: &str, fifo: &std::path::Path) -> StageWork {
    let fifo = String::from_utf8(fifo.as_os_str().as_bytes().to_vec()).unwrap();
    StageWork {
        variables: [("FIFO".to_owned(), fifo)].into(),
        ..work(command)
    }
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
