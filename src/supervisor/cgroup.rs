//! Enforces the limits of a stage with control groups.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process,
};

use super::{CgroupVersion, Clock, Limits, hierarchy::Hierarchy};

/// Prefix of group names, followed by the supervisor's process id.
const PREFIX: &str = "pipewright-";

/// Control groups with limits. Dropping this removes them, so they must be empty then.
#[derive(Default)]
pub(super) struct Cgroup {
    directories: Vec<PathBuf>,
    /// The file in which the kernel counts OOM kills.
    kills: Option<PathBuf>,
}

impl Cgroup {
    /// Creates groups for the limits that are set.
    ///
    /// # Errors
    /// If a limit is not available here; the message is for users.
    pub(super) fn create(limits: Limits) -> io::Result<Self> {
        let mut cgroup = Self::default();
        let name = format!("{PREFIX}{}-{}", process::id(), Clock::Wall.now());
        if let Some(processes) = limits.processes {
            let (_, group) = cgroup.join("pids", &name)?;
            set(&group.join("pids.max"), processes)?;
        }
        if let Some(memory) = limits.memory {
            let (version, group) = cgroup.join("memory", &name)?;
            cgroup.kills = Some(limit_memory(version, &group, memory)?);
        }
        Ok(cgroup)
    }

    /// Creates the group `name` under a controller, if it does not exist yet.
    fn join(&mut self, controller: &str, name: &str) -> io::Result<(CgroupVersion, PathBuf)> {
        let Hierarchy { version, directory } = Hierarchy::of(controller)?;
        let group = directory.join(name);
        if !self.directories.contains(&group) {
            fs::create_dir(&group).map_err(describe("create", &group))?;
            self.directories.push(group.clone());
        }
        Ok((version, group))
    }

    /// Moves this process into the groups.
    pub(super) fn enter(&self) -> io::Result<()> {
        // Zero means the writing process, whatever its process id in this namespace is.
        let mut entrances = self
            .directories
            .iter()
            .map(|group| group.join("cgroup.procs"));
        entrances.try_for_each(|entrance| set(&entrance, 0))
    }

    /// Whether the kernel killed a process of the group for lack of memory.
    pub(super) fn ran_out_of_memory(&self) -> bool {
        let counts = self.kills.as_deref().map(fs::read_to_string);
        let counts = counts.and_then(Result::ok).unwrap_or_default();
        let mut kills = counts
            .lines()
            .filter_map(|line| line.strip_prefix("oom_kill "));
        kills.any(|count| count != "0")
    }
}

/// Removes the groups of supervisors that were killed. A group in use cannot be removed.
pub(super) fn remove_abandoned(directory: &Path) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let supervisor = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
        if let Some((supervisor, _)) = supervisor.and_then(|rest| rest.split_once('-'))
            && !Path::new("/proc").join(supervisor).exists()
        {
            let _ = fs::remove_dir(entry.path());
        }
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        for group in &self.directories {
            // Failure is harmless: an empty group costs only its name.
            let _ = fs::remove_dir(group);
        }
    }
}

/// Sets the limit. Returns the file that counts OOM kills.
fn limit_memory(version: CgroupVersion, group: &Path, bytes: u64) -> io::Result<PathBuf> {
    let (limit, swap, most_swap, counts) = match version {
        // `memsw` limits memory and swap together, and must be set after the memory limit.
        CgroupVersion::V1 => (
            "memory.limit_in_bytes",
            "memory.memsw.limit_in_bytes",
            bytes,
            "memory.oom_control",
        ),
        CgroupVersion::V2 => ("memory.max", "memory.swap.max", 0, "memory.events"),
    };
    set(&group.join(limit), bytes)?;
    let swap = group.join(swap);
    // A kernel without swap accounting has no such file.
    if swap.exists() {
        set(&swap, most_swap)?;
    }
    Ok(group.join(counts))
}

fn set(file: &Path, value: u64) -> io::Result<()> {
    fs::write(file, value.to_string()).map_err(describe("write", file))
}

fn describe(what: &str, path: &Path) -> impl FnOnce(io::Error) -> io::Error {
    move |error| io::Error::other(format!("cannot {what} {}: {error}", path.display()))
}
