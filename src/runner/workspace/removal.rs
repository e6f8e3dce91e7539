//! Removes directories in which strangers' commands ran.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use uuid::Uuid;

/// Removes a workspace, as far as that goes.
///
/// Not by `remove_dir_all`: a command can nest directories deeper than the stack and the
/// open files of this process reach. Each is moved up before its turn comes instead.
pub(super) fn remove(root: &Path) {
    let mut left = vec![root.to_owned()];
    while let Some(directory) = left.pop() {
        make_writable(&directory);
        for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
            // The type of the entry itself: a symlink is not followed.
            match entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                true => left.push(moved_up(entry.path(), root)),
                false => drop(fs::remove_file(entry.path())),
            }
        }
        if directory != root {
            let _ = fs::remove_dir(directory);
        }
    }
    let _ = fs::remove_dir(root);
}

/// Moves a directory to right below `root`; answers where it is.
fn moved_up(directory: PathBuf, root: &Path) -> PathBuf {
    let target = root.join(Uuid::new_v4().to_string());
    // Its entry for its parent changes, so it has to be writable as well.
    make_writable(&directory);
    match fs::rename(&directory, &target) {
        Ok(()) => target,
        Err(_) => directory,
    }
}

/// Gives the owner all rights to a directory. Some tools leave read-only ones (Go's module
/// cache), which only root could remove as they are.
fn make_writable(directory: &Path) {
    let _ = fs::set_permissions(directory, fs::Permissions::from_mode(0o700));
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    #[test]
    fn read_only_directories_are_removed() {
        let parent = TempDir::new().unwrap();
        let root = parent.path().join("root");
        let outside = parent.path().join("outside");
        fs::create_dir_all(root.join("a/b")).unwrap();
        fs::write(root.join("a/b/file"), "").unwrap();
        fs::write(&outside, "").unwrap();
        std::os::unix::fs::symlink(parent.path(), root.join("a/link")).unwrap();
        for path in ["a/b", "a"] {
            fs::set_permissions(root.join(path), fs::Permissions::from_mode(0o500)).unwrap();
        }
        remove(&root);
        assert!(!root.exists() && outside.exists());
    }

    #[test]
    fn directories_may_be_nested_as_deep_as_they_are() {
        let parent = TempDir::new().unwrap();
        let root = parent.path().join("root");
        fs::create_dir(&root).unwrap();
        // From the inside out: no path is as long as the whole.
        for _ in 0..15_000 {
            let inner = parent.path().join("inner");
            fs::rename(&root, &inner).unwrap();
            fs::create_dir(&root).unwrap();
            fs::rename(inner, root.join("d")).unwrap();
        }
        remove(&root);
        assert!(!root.exists());
    }
}
