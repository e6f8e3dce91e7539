//! Locates this process in the kernel's cgroup hierarchies, for one controller.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::CgroupVersion;

/// The directory in which groups with a controller can be created.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Hierarchy {
    pub(super) version: CgroupVersion,
    pub(super) directory: PathBuf,
}

impl Hierarchy {
    /// Finds a controller; version 2 is preferred.
    ///
    /// # Errors
    /// If the controller does not exist or cannot be used here; the message is for users.
    pub(super) fn of(controller: &str) -> io::Result<Self> {
        let mounts = fs::read_to_string("/proc/self/mountinfo")?;
        let groups = fs::read_to_string("/proc/self/cgroup")?;
        if let Some(own) = locate(&mounts, &groups, None)
            && lists(&own.join("cgroup.controllers"), controller)
        {
            let directory = enabled(&own, controller)?;
            let version = CgroupVersion::V2;
            return Ok(Self { version, directory });
        }
        let directory = locate(&mounts, &groups, Some(controller)).ok_or_else(|| {
            io::Error::other(format!("there is no cgroup controller `{controller}` here"))
        })?;
        let version = CgroupVersion::V1;
        Ok(Self { version, directory })
    }
}

/// The directory in which groups of version 2 get the controller: `own` or, if an
/// administrator has prepared it, its parent.
///
/// The kernel enables no controllers for the children of a group that itself has processes,
/// unless it is the root group. systemd's `DelegateSubgroup=` results in the second case.
fn enabled(own: &Path, controller: &str) -> io::Result<PathBuf> {
    let switch = own.join("cgroup.subtree_control");
    if lists(&switch, controller) {
        return Ok(own.to_owned());
    }
    // A slice belongs to the service manager, which would neither limit nor end groups in it.
    if let Some(parent) = own.parent()
        && parent.extension().is_none_or(|kind| kind != "slice")
        && lists(&parent.join("cgroup.subtree_control"), controller)
    {
        return Ok(parent.to_owned());
    }
    fs::write(&switch, format!("+{controller}")).map_err(|error| {
        io::Error::other(format!(
            "cannot enable the cgroup controller `{controller}` in {}: {error}",
            own.display()
        ))
    })?;
    Ok(own.to_owned())
}

fn lists(file: &Path, controller: &str) -> bool {
    let list = fs::read_to_string(file).unwrap_or_default();
    list.split_ascii_whitespace().any(|item| item == controller)
}

/// This process's own group: of version 1 if there is a controller, else of version 2.
fn locate(mounts: &str, groups: &str, controller: Option<&str>) -> Option<PathBuf> {
    let named = |list: &str| match controller {
        Some(controller) => list.split(',').any(|item| item == controller),
        None => list.is_empty(),
    };
    // "8:pids:/path", and "0::/path" for version 2.
    let path = groups.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        named(fields.next()?).then(|| fields.next())?
    })?;
    // "39 31 0:36 /root /mount/point rw - cgroup cgroup rw,pids".
    mounts.lines().find_map(|line| {
        let (mount, kind) = line.split_once(" - ")?;
        let mut mount = mount.split(' ').skip(3);
        let (root, point) = (mount.next()?, mount.next()?);
        let mut kind = kind.split(' ');
        let is_wanted = match kind.next()? {
            "cgroup2" => controller.is_none(),
            "cgroup" => controller.is_some() && named(kind.nth(1)?),
            _ => false,
        };
        // A container may see only a part of the hierarchy, in which its own path is missing.
        let inside = Path::new(path).strip_prefix(root).ok()?;
        is_wanted.then(|| Path::new(point).join(inside))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw
35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
39 31 0:36 /docker/1 /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw";
    const GROUPS: &str = "8:pids:/docker/1/a:b\n4:memory:/x\n3:cpu,cpuacct:/\n0::/service";

    #[test]
    fn the_own_group_is_found() {
        let found = |controller| locate(MOUNTS, GROUPS, controller);
        assert_eq!(found(Some("pids")), Some("/sys/fs/cgroup/pids/a:b".into()));
        assert_eq!(
            found(Some("memory")),
            Some("/sys/fs/cgroup/memory/x".into())
        );
        assert_eq!(found(None), Some("/sys/fs/cgroup/unified/service".into()));
        assert_eq!(found(Some("cpu")), None, "it is not mounted");
        assert_eq!(found(Some("io")), None);
    }
}
