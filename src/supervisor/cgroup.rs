//! The limits of a stage, as control groups of its own.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process,
};

use super::{CgroupVersion, Clock, Limits, hierarchy::Hierarchy};

/// What the names of groups begin with; the number of their supervisor follows.
const PREFIX: &str = "pipewright-";

/// Groups with limits, removed when dropped; nothing may be in them by then.
#[derive(Default)]
pub(super) struct Cgroup {
    directories: Vec<PathBuf>,
    /// Where the kernel counts what it killed for want of memory.
    kills: Option<PathBuf>,
}

impl Cgroup {
    /// Creates groups for the limits that are set.
    ///
    /// # Errors
    /// For people: a limit cannot be had here.
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

    /// Creates the group `name` under a controller, if it is not there yet.
    fn join(&mut self, controller: &str, name: &str) -> io::Result<(CgroupVersion, PathBuf)> {
        let Hierarchy { version, directory } = Hierarchy::of(controller)?;
        let group = directory.join(name);
        if !self.directories.contains(&group) {
            fs::create_dir(&group).map_err(told("create", &group))?;
            self.directories.push(group.clone());
        }
        Ok((version, group))
    }

    /// Moves this process into the groups.
    pub(super) fn enter(&self) -> io::Result<()> {
        // Zero is whoever writes it, by whatever number this process goes.
        let mut entrances = self
            .directories
            .iter()
            .map(|group| group.join("cgroup.procs"));
        entrances.try_for_each(|entrance| set(&entrance, 0))
    }

    /// Whether the kernel killed a process in it for want of memory.
    pub(super) fn ran_out_of_memory(&self) -> bool {
        let counts = self.kills.as_deref().map(fs::read_to_string);
        let counts = counts.and_then(Result::ok).unwrap_or_default();
        let mut kills = counts
            .lines()
            .filter_map(|line| line.strip_prefix("oom_kill "));
        kills.any(|count| count != "0")
    }
}

/// Removes what supervisors left that were killed. A group in use cannot be removed.
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
            // An empty group that stays costs nothing but its name.
            let _ = fs::remove_dir(group);
        }
    }
}

/// Sets the limit; answers with the file that counts kills.
fn limit_memory(version: CgroupVersion, group: &Path, bytes: u64) -> io::Result<PathBuf> {
    let (limit, swap, most_swap, counts) = match version {
        // Of memory and swap together, and only after the first.
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
    fs::write(file, value.to_string()).map_err(told("write", file))
}

fn told(what: &str, path: &Path) -> impl FnOnce(io::Error) -> io::Error {
    move |error| io::Error::other(format!("cannot {what} {}: {error}", path.display()))
}
