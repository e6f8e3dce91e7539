//! The directories of jobs.

use std::{
    collections::HashMap,
    env, fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use parking_lot::Mutex;

use super::home::{self, Home};
use crate::{
    config::Execution,
    domain::JobId,
    scratch::{Child, Directory, Temporary},
};

/// The workspaces of the jobs that this runner has had stages of.
pub(in crate::runner) struct Workspaces {
    execution: Execution,
    parent: Arc<Parent>,
    /// A shared lock of the directory: no other process can lock it exclusively.
    _shared: Option<fs::File>,
    jobs: Mutex<HashMap<JobId, Arc<Workspace>>>,
}

/// The directory that workspaces are in.
struct Parent {
    directory: Directory,
    /// What their names begin with.
    prefix: &'static str,
    /// Owns the directory, unless it is the operator's.
    _temporary: Option<Temporary>,
}

impl Workspaces {
    /// Creates the parent of the workspaces if necessary. A runner that has a `home` has
    /// it there.
    pub(in crate::runner) fn new(execution: Execution, home: Option<&Home>) -> io::Result<Self> {
        let mut shared = None;
        if let (None, Some(parent)) = (home, execution.workspace_dir()) {
            fs::create_dir_all(parent)?;
            shared = Some(home::share(parent)?);
        }
        let keeps_its_place = home.is_some() || execution.keeps_workspaces();
        let place = place(&execution);
        let parent =
            Parent::new(&place, keeps_its_place).map_err(|error| home::unusable(&error, &place))?;
        Ok(Self {
            execution,
            parent: Arc::new(parent),
            _shared: shared,
            jobs: Mutex::default(),
        })
    }

    /// The directory in which earlier processes may have left workspaces.
    pub(in crate::runner) fn place(&self) -> PathBuf {
        place(&self.execution)
    }

    /// The workspace of a job, created when this is the job's first stage. One that
    /// `must_exist` is never created again, without the files that its stage builds on.
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
        let workspace = Arc::new(Workspace::create(job, &self.execution, &self.parent)?);
        jobs.insert(job, Arc::clone(&workspace));
        Ok(workspace)
    }

    /// Jobs that have a workspace.
    pub(in crate::runner) fn held(&self) -> Vec<JobId> {
        self.jobs.lock().keys().copied().collect()
    }

    /// Releases workspaces. Each is removed when the last stage that uses it and the
    /// result are dropped, which blocks for as long as removing the files takes.
    pub(in crate::runner) fn remove(&self, jobs: &[JobId]) -> Vec<Arc<Workspace>> {
        let mut kept = self.jobs.lock();
        jobs.iter().filter_map(|job| kept.remove(job)).collect()
    }
}

/// Why a workspace could not be opened.
#[derive(Debug, thiserror::Error)]
pub(in crate::runner) enum OpenError {
    /// It existed, and was removed.
    #[error("the workspace is gone")]
    Gone,
    /// It could not be created.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Where workspaces are, or the temporary directory that they are in.
fn place(execution: &Execution) -> PathBuf {
    let configured = execution.workspace_dir().map(Path::to_owned);
    configured.unwrap_or_else(env::temp_dir)
}

impl Parent {
    /// In `place`, and in a temporary directory there unless `keeps_its_place`.
    fn new(place: &Path, keeps_its_place: bool) -> io::Result<Self> {
        if keeps_its_place {
            return Ok(Self {
                directory: Directory::open(place)?,
                prefix: "pipewright-",
                _temporary: None,
            });
        }
        let temporary = Temporary::create(place)?;
        Ok(Self {
            directory: Directory::open(&temporary.path())?,
            prefix: "",
            _temporary: Some(temporary),
        })
    }
}

/// The directory of one job, shared by its stages.
pub(in crate::runner) struct Workspace {
    parent: Arc<Parent>,
    child: Child,
    /// Private to the runner's user, never the directory in which commands start.
    scratch: PathBuf,
    keep: bool,
    /// Where commands start.
    pub(in crate::runner) source: PathBuf,
    /// HOME of commands; none where they run with the caller's environment.
    pub(in crate::runner) home: Option<PathBuf>,
    /// The commit that is checked out; locked during the checkout.
    pub(in crate::runner) checked_out: tokio::sync::Mutex<Option<String>>,
}

impl Workspace {
    fn create(job: JobId, execution: &Execution, parent: &Arc<Parent>) -> io::Result<Self> {
        // Named after the job for people.
        let child = parent
            .directory
            .create(&format!("{}{job}-", parent.prefix))?;
        let scratch = parent.directory.path_of(&child);
        let mut workspace = Self {
            parent: Arc::clone(parent),
            child,
            // Without symlinks, so that a path shows whether a file is inside.
            scratch: scratch.canonicalize()?,
            keep: execution.keeps_workspaces(),
            source: PathBuf::new(),
            home: None,
            checked_out: tokio::sync::Mutex::default(),
        };
        match execution {
            Execution::Isolated { .. } => workspace.isolate()?,
            Execution::InPlace { directory } => workspace.source = directory.canonicalize()?,
        }
        Ok(workspace)
    }

    fn isolate(&mut self) -> io::Result<()> {
        let (source, home) = (self.scratch.join("src"), self.scratch.join("home"));
        fs::create_dir(&source)?;
        fs::create_dir(&home)?;
        self.source = source;
        self.home = Some(home);
        Ok(())
    }

    /// Whether it is the job's alone, and not a directory of the caller's.
    pub(in crate::runner) fn is_isolated(&self) -> bool {
        self.home.is_some()
    }

    /// The directory in which a stage's command starts.
    ///
    /// # Errors
    /// For people: it does not exist, or it is outside, perhaps by a symlink.
    pub(in crate::runner) fn start_directory(&self, relative: &str) -> Result<PathBuf, String> {
        self.check_source()?;
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

    /// Checks that the directory of the stages is still there.
    fn check_source(&self) -> Result<(), String> {
        let what = if self.is_isolated() {
            "the workspace of this job"
        } else {
            "the directory that stages run in"
        };
        match self.source.canonicalize() {
            Ok(found) if found == self.source && found.is_dir() => Ok(()),
            Ok(_) => Err(format!(
                "{what} was replaced by something else; \
                 see which command before this one moved or replaced it"
            )),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(format!(
                "{what} does not exist any more; \
                 see which command before this one removed or moved it"
            )),
            Err(error) => Err(format!("{what} cannot be used: {error}")),
        }
    }

    /// For files of the runner's own about this job; commands do not start here.
    pub(in crate::runner) fn scratch(&self) -> &Path {
        &self.scratch
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        if !self.keep {
            self.parent.directory.remove(&self.child);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use tempfile::TempDir;

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
        assert_eq!(mode(first.scratch()), 0o700);
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
