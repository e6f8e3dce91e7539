use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use tempfile::TempDir;

use super::*;
use crate::scratch::Child;

/// A directory with a child, and one beside it that must not be touched.
struct Scene {
    parent: TempDir,
    directory: Directory,
    child: Child,
    root: PathBuf,
    victim: TempDir,
}

impl Scene {
    fn new() -> Self {
        let parent = TempDir::new().unwrap();
        let directory = Directory::open(parent.path()).unwrap();
        let child = directory.create("child-").unwrap();
        let root = directory.path_of(&child);
        let victim = TempDir::new().unwrap();
        fs::create_dir(victim.path().join("inner")).unwrap();
        fs::write(victim.path().join("inner/file"), "").unwrap();
        fs::write(victim.path().join("file"), "").unwrap();
        Self {
            parent,
            directory,
            child,
            root,
            victim,
        }
    }

    fn remove(&self) -> Result<(), Remains> {
        let identity = self.directory.identity_of(&self.child);
        remove(&self.directory, self.root.file_name().unwrap(), identity)
    }

    #[track_caller]
    fn assert_removed(&self) {
        self.remove().unwrap();
        assert_eq!(fs::read_dir(self.parent.path()).unwrap().count(), 0);
        self.assert_victim_lives();
    }

    #[track_caller]
    fn assert_victim_lives(&self) {
        assert!(self.victim.path().join("file").exists());
        assert!(self.victim.path().join("inner/file").exists());
    }
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn directories_that_their_owner_has_no_right_to_are_removed() {
    for mode in [0o000, 0o100, 0o200, 0o400, 0o500] {
        let scene = Scene::new();
        let inner = scene.root.join("a/b/c");
        fs::create_dir_all(&inner).unwrap();
        fs::write(inner.join("file"), "").unwrap();
        for path in ["a/b/c", "a/b", "a", ""] {
            set_mode(&scene.root.join(path), mode);
        }
        scene.assert_removed();
    }
}

#[test]
fn links_are_removed_and_not_followed() {
    let scene = Scene::new();
    fs::create_dir(scene.root.join("a")).unwrap();
    symlink(scene.victim.path(), scene.root.join("link")).unwrap();
    symlink(scene.victim.path(), scene.root.join("a/link")).unwrap();
    symlink("nowhere", scene.root.join("a/broken")).unwrap();
    scene.assert_removed();
}

#[test]
fn a_link_in_its_place_is_not_followed() {
    let scene = Scene::new();
    fs::rename(&scene.root, scene.parent.path().join("elsewhere")).unwrap();
    symlink(scene.victim.path(), &scene.root).unwrap();
    let remains = scene.remove().unwrap_err();
    assert_eq!(remains.path, scene.root);
    assert!(!scene.root.is_symlink());
    scene.assert_victim_lives();
}

#[test]
fn another_directory_in_its_place_is_left_alone() {
    let scene = Scene::new();
    fs::rename(&scene.root, scene.parent.path().join("elsewhere")).unwrap();
    let place = scene.victim.path().join("moved");
    fs::rename(scene.victim.path().join("inner"), &place).unwrap();
    fs::rename(&place, &scene.root).unwrap();
    let remains = scene.remove().unwrap_err();
    assert!(remains.reason.to_string().contains("something else"));
    assert!(scene.root.join("file").exists());
}

#[test]
fn one_that_is_gone_is_removed() {
    let scene = Scene::new();
    fs::remove_dir(&scene.root).unwrap();
    scene.assert_removed();
}

#[test]
fn a_renamed_parent_is_the_same() {
    let scene = Scene::new();
    fs::write(scene.root.join("file"), "").unwrap();
    let moved = scene.victim.path().join("moved");
    fs::rename(scene.parent.path(), &moved).unwrap();
    // As a command would do to have another directory emptied.
    symlink(scene.victim.path(), scene.parent.path()).unwrap();
    let name = scene.root.file_name().unwrap();
    fs::create_dir(scene.victim.path().join(name)).unwrap();
    fs::write(scene.victim.path().join(name).join("file"), "").unwrap();
    scene.remove().unwrap();
    assert!(!moved.join(name).exists());
    assert!(scene.victim.path().join(name).join("file").exists());
    scene.assert_victim_lives();
    fs::remove_file(scene.parent.path()).unwrap();
}

/// While it is removed, a directory in it turns into a link and back.
#[test]
fn a_link_that_comes_between_is_not_followed() {
    let stop = AtomicBool::new(false);
    for _ in 0..50 {
        let scene = Scene::new();
        let (inner, link) = (scene.root.join("inner"), scene.root.join("link"));
        let aside = scene.root.join("aside");
        fs::create_dir(&inner).unwrap();
        for number in 0..20 {
            fs::write(inner.join(number.to_string()), "").unwrap();
        }
        symlink(scene.victim.path(), &link).unwrap();
        stop.store(false, Ordering::Relaxed);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let _ = fs::rename(&inner, &aside);
                    let _ = fs::rename(&link, &inner);
                    let _ = fs::rename(&inner, &link);
                    let _ = fs::rename(&aside, &inner);
                }
            });
            let _ = scene.remove();
            stop.store(true, Ordering::Relaxed);
        });
        scene.assert_victim_lives();
    }
}

/// Of the kernel's own file systems: nothing in them can be removed.
#[test]
#[cfg(target_os = "linux")]
fn what_cannot_be_removed_is_named() {
    let proc = Directory::open(Path::new("/proc")).unwrap();
    let child = proc.child(OsStr::new("self")).unwrap();
    let name = OsStr::new("self");
    let remains = remove(&proc, name, proc.identity_of(&child)).unwrap_err();
    assert_eq!(remains.path, Path::new("/proc/self"));
}

#[test]
fn directories_may_be_nested_as_deep_as_they_are() {
    let scene = Scene::new();
    let inner = scene.parent.path().join("inner");
    fs::rename(&scene.root, &inner).unwrap();
    // From the inside out: no path is as long as the whole.
    for _ in 0..15_000 {
        let outer = scene.parent.path().join("outer");
        fs::create_dir(&outer).unwrap();
        fs::rename(&inner, outer.join("d")).unwrap();
        fs::rename(outer, &inner).unwrap();
    }
    fs::rename(inner, &scene.root).unwrap();
    let name = scene.root.file_name().unwrap();
    let child = scene.directory.child(name).unwrap();
    scene.directory.remove(&child);
    assert!(!scene.root.exists());
}
