//! Mounts a file system in memory, until standard input ends. The command `crash SEED` does to
//! it what a loss of power does to a disk: everything synced is there, and of everything else
//! what the seed says.
//!
//! Killing a process cannot show that a sync is missing, because the kernel still has what the
//! process wrote.

mod disk;
mod mounted;

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use disk::Disk;
use fuser::{BackgroundSession, Config, MountOption};
use mounted::Mounted;
use nix::mount::{MntFlags, umount2};
use parking_lot::Mutex;

fn main() -> ExitCode {
    let Some(path) = env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("usage: pipewright-unsynced MOUNT_POINT, or --check");
        return ExitCode::from(2);
    };
    if path == Path::new("--check") {
        return check();
    }
    match serve(&path) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the file system failed: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether a file system can be mounted here.
fn check() -> ExitCode {
    let tried = env::temp_dir().join(format!("pipewright-unsynced-{}", std::process::id()));
    let mounted = fs::create_dir(&tried)
        .and_then(|()| mount(&tried, &Arc::default()))
        .and_then(|session| unmount(session, &tried));
    let _ = fs::remove_dir(&tried);
    if let Err(error) = mounted {
        eprintln!("no file system can be mounted (it needs root and /dev/fuse): {error}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn serve(path: &Path) -> io::Result<()> {
    let disk = Arc::<Mutex<Disk>>::default();
    let mut session = mount(path, &disk)?;
    println!("mounted");
    for line in io::stdin().lines() {
        let line = line?;
        let seed = line
            .strip_prefix("crash ")
            .and_then(|seed| seed.parse().ok());
        let seed = seed.ok_or_else(|| io::Error::other(format!("no command: {line}")))?;
        // Mounted anew, because the kernel caches what it has read.
        unmount(session, path)?;
        disk.lock().crash(seed);
        session = mount(path, &disk)?;
        println!("crashed");
    }
    unmount(session, path)
}

fn mount(path: &Path, disk: &Arc<Mutex<Disk>>) -> io::Result<BackgroundSession> {
    let mut config = Config::default();
    config.mount_options = vec![MountOption::FSName("unsynced".to_owned())];
    fuser::spawn_mount(Mounted(Arc::clone(disk)), path, &config)
}

/// Removes the name first, and waits for those who still have a file open.
fn unmount(session: BackgroundSession, path: &Path) -> io::Result<()> {
    umount2(path, MntFlags::MNT_DETACH)?;
    session.join()
}
