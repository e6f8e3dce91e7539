//! The directories of jobs.

use std::{
    collections::HashMap,
    env, fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use parking_lot::Mutex;
use tempfile::TempDir;

use super::{
    home::{self, Home},
    removal,
};
use crate::{config::Execution, domain::JobId};

/// The workspaces of the jobs that this runner has had stages of.
pub(in crate::runner) struct Workspaces {
    execution: Execution,
    /// Keeps away from their directory whoever wants it alone.
    _shared: Option<fs::File>,
    jobs: Mutex<HashMap<JobId, Arc<Workspace>>>,
}

impl Workspaces {
    /// Creates the parent of the workspaces if need be. A runner that has a `home` has
    /// it there.
    pub(in crate::runner) fn new(execution: Execution, home: Option<&Home>) -> io::Result<Self> {
        let mut shared = None;
        if let (None, Some(parent)) = (home, execution.workspace_dir()) {
            fs::create_dir_all(parent)?;
            shared = Some(home::share(parent)?);
        }
        Ok(Self {
            execution,
            _shared: shared,
            jobs: Mutex::default(),
        })
    }

    /// The workspace of a job, created when this is the job's first stage: one that
    /// `must_exist` is never made anew, without the files that its stage goes on with.
    pub(in crate::runner) fn open(
        &self,
        job: JobId,
        must_exist: bool,
    ) -> Result<Arc<Workspace>, OpenError> {
        let mut jobs = self.jobs.lock();
        if let Some(workspace) = jobs.get(&job) {
            return Ok(Arc::clone(workspace));
        }
        if must_exist {
            return Err(OpenError::Gone);
        }
        let workspace = Arc::new(Workspace::create(job, &self.execution)?);
        jobs.insert(job, Arc::clone(&workspace));
        Ok(workspace)
    }

    /// Jobs that have a workspace.
    pub(in crate::runner) fn held(&self) -> Vec<JobId> {
        self.jobs.lock().keys().copied().collect()
    }

    /// Lets workspaces go. Each is removed when the last stage that uses it and the
    /// answer are dropped, which blocks for as long as removing the files takes.
    pub(in crate::runner) fn remove(&self, jobs: &[JobId]) -> Vec<Arc<Workspace>> {
        let mut kept = self.jobs.lock();
        jobs.iter().filter_map(|job| kept.remove(job)).collect()
    }
}

/// Why there is no workspace.
#[derive(Debug, thiserror::Error)]
pub(in crate::runner) enum OpenError {
    /// It was there, and is not any more.
    #[error("the workspace is gone")]
    Gone,
    /// It could not be made.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// The directory of one job, shared by its stages.
pub(in crate::runner) struct Workspace {
    /// Private to the runner's user, never the directory in which commands start.
    scratch: TempDir,
    keep: bool,
    /// Where commands start.
    pub(in crate::runner) source: PathBuf,
    /// HOME of commands; none where they run with the caller's environment.
    pub(in crate::runner) home: Option<PathBuf>,
    /// The commit that is checked out; locked while that is being done.
    pub(in crate::runner) checked_out: tokio::sync::Mutex<Option<String>>,
}

impl Workspace {
    fn create(job: JobId, execution: &Execution) -> io::Result<Self> {
        match execution {
            Execution::Isolated {
                workspace_dir,
                keep_workspaces,
            } => {
                let parent = workspace_dir.clone().unwrap_or_else(env::temp_dir);
                Self::isolated(
                    private_dir(job, &parent, *keep_workspaces)?,
                    *keep_workspaces,
                )
            }
            Execution::InPlace { directory } => Ok(Self {
                scratch: private_dir(job, &env::temp_dir(), false)?,
                keep: false,
                source: directory.canonicalize()?,
                home: None,
                checked_out: tokio::sync::Mutex::default(),
            }),
        }
    }

    fn isolated(scratch: TempDir, keep: bool) -> io::Result<Self> {
        // Without symlinks, so that what lies inside can be told by its path.
        let root = scratch.path().canonicalize()?;
        let (source, home) = (root.join("src"), root.join("home"));
        fs::create_dir(&source)?;
        fs::create_dir(&home)?;
        Ok(Self {
            scratch,
            keep,
            source,
            home: Some(home),
            checked_out: tokio::sync::Mutex::default(),
        })
    }

    /// Whether it is the job's alone, and not a directory of the caller's.
    pub(in crate::runner) fn is_isolated(&self) -> bool {
        self.home.is_some()
    }

    /// The directory in which a stage's command starts.
    ///
    /// # Errors
    /// For people: it does not exist, or it lies outside, perhaps by a symlink.
    pub(in crate::runner) fn start_directory(&self, relative: &str) -> Result<PathBuf, String> {
        let directory = self
            .source
            .join(relative)
            .canonicalize()
            .map_err(|error| format!("working directory '{relative}': {error}"))?;
        if !directory.starts_with(&self.source) {
            return Err(format!(
                "working directory '{relative}' leads out of the workspace; \
                 it has to be a directory inside"
            ));
        }
        if !directory.is_dir() {
            return Err(format!("working directory '{relative}' is not a directory"));
        }
        Ok(directory)
    }

    /// For files of the runner's own about this job; commands do not start here.
    pub(in crate::runner) fn scratch(&self) -> &Path {
        self.scratch.path()
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        // What is left after this goes with `scratch`.
        if !self.keep {
            removal::remove(self.scratch.path());
        }
    }
}

/// A fresh directory with mode 0700, named after the job for people.
fn private_dir(job: JobId, parent: &Path, keep: bool) -> io::Result<TempDir> {
    tempfile::Builder::new()
        .prefix(&format!("pipewright-{job}-"))
        .permissions(fs::Permissions::from_mode(0o700))
        .disable_cleanup(keep)
        .tempdir_in(parent)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn isolated(parent: &Path, keep_workspaces: bool) -> Workspaces {
        let execution = Execution::Isolated {
            workspace_dir: Some(parent.join("jobs")),
            keep_workspaces,
        };
        Workspaces::new(execution, None).unwrap()
    }

    fn job() -> JobId {
        JobId(uuid::Uuid::now_v7())
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_job_has_one_private_workspace() {
        let parent = TempDir::new().unwrap();
        let workspaces = isolated(parent.path(), false);
        let id = job();
        let first = workspaces.open(id, false).unwrap();
        let second = workspaces.open(id, false).unwrap();
        let other = workspaces.open(job(), false).unwrap();
        assert_eq!(first.source, second.source);
        assert_ne!(first.source, other.source);
        assert_eq!(mode(first.scratch.path()), 0o700);
        assert_eq!(workspaces.held().len(), 2);
    }

    #[test]
    fn a_workspace_that_has_to_be_there_is_not_made() {
        let parent = TempDir::new().unwrap();
        let workspaces = isolated(parent.path(), false);
        let id = job();
        assert!(matches!(workspaces.open(id, true), Err(OpenError::Gone)));
        workspaces.open(id, false).unwrap();
        workspaces.open(id, true).unwrap();
    }

    #[test]
    fn workspaces_go_at_the_end_unless_kept() {
        for keep in [false, true] {
            let parent = TempDir::new().unwrap();
            let workspaces = isolated(parent.path(), keep);
            let source = workspaces.open(job(), false).unwrap().source.clone();
            drop(workspaces);
            assert_eq!(source.exists(), keep);
        }
    }

    #[test]
    fn a_directory_outside_is_refused() {
        let parent = TempDir::new().unwrap();
        let workspaces = isolated(parent.path(), false);
        let workspace = workspaces.open(job(), false).unwrap();
        let source = &workspace.source;
        fs::create_dir(source.join("inside")).unwrap();
        fs::write(source.join("file"), "").unwrap();
        std::os::unix::fs::symlink("/", source.join("root")).unwrap();
        std::os::unix::fs::symlink("inside", source.join("link")).unwrap();

        let inside = source.join("inside");
        assert_eq!(workspace.start_directory(""), Ok(source.clone()));
        assert_eq!(workspace.start_directory("inside"), Ok(inside.clone()));
        assert_eq!(workspace.start_directory("link"), Ok(inside));
        for outside in [
            "/",
            "..",
            "../home",
            "root",
            "root/tmp",
            "inside/../../home",
        ] {
            let refusal = workspace.start_directory(outside).unwrap_err();
            assert!(refusal.contains("leads out"), "{outside}: {refusal}");
        }
        for wrong in ["missing", "file"] {
            assert!(workspace.start_directory(wrong).is_err());
        }
    }
}
