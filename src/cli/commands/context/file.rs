//! The file in which contexts are stored.

use std::{
    env,
    fs::{self, File},
    io::{self, Read, Write},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use super::model::Contexts;
use crate::{
    cli::exit::Failure,
    private_file::{Readers, check_private},
};

/// The file of contexts.
#[derive(Debug)]
pub(crate) struct ContextFile {
    path: PathBuf,
    is_default: bool,
}

impl ContextFile {
    /// The file that the environment names; none for a user without a home directory.
    pub(crate) fn locate() -> Option<Self> {
        let read = |name| {
            env::var_os(name)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        };
        if let Some(path) = read("PIPEWRIGHT_CLIENT_CONFIG") {
            return Some(Self {
                path,
                is_default: false,
            });
        }
        // The XDG base directory specification says to ignore a relative path.
        let config = read("XDG_CONFIG_HOME").filter(|path| path.is_absolute());
        let config = config.or_else(|| Some(read("HOME")?.join(".config")))?;
        let path = config.join("pipewright").join("config.toml");
        Some(Self {
            path,
            is_default: true,
        })
    }

    /// The file, for commands that change it.
    pub(crate) fn expect() -> Result<Self, Failure> {
        Self::locate().ok_or_else(|| {
            Failure::Usage(
                "contexts have no place: neither PIPEWRIGHT_CLIENT_CONFIG nor HOME is set"
                    .to_owned(),
            )
        })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The contexts in it; none if it does not exist.
    pub(crate) fn read(&self) -> Result<Contexts, Failure> {
        let (text, metadata) = match self.try_read() {
            Ok(read) => read,
            Err(error) if self.is_absent(&error) => return Ok(Contexts::default()),
            Err(error) => return Err(self.failure(&format!("cannot be read: {error}"))),
        };
        let directory = self.path.parent().unwrap_or(Path::new(""));
        let contexts = Contexts::parse(&text, directory).map_err(|error| self.failure(&error))?;
        if contexts.has_secrets() {
            let checked = check_private(&self.path, &metadata, Readers::Owner);
            checked.map_err(|error| Failure::Usage(format!("the context file {error}")))?;
        }
        Ok(contexts)
    }

    fn try_read(&self) -> io::Result<(String, fs::Metadata)> {
        let mut file = File::open(&self.path)?;
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        Ok((text, file.metadata()?))
    }

    /// A container may run as a user whose home it cannot enter.
    fn is_absent(&self, error: &io::Error) -> bool {
        error.kind() == io::ErrorKind::NotFound
            || self.is_default && error.kind() == io::ErrorKind::PermissionDenied
    }

    /// Replaces the file atomically: a crash leaves the old file or the new one.
    pub(crate) fn write(&self, contexts: &Contexts) -> Result<(), Failure> {
        let written = self.try_write(contexts);
        written.map_err(|error| self.failure(&format!("cannot be written: {error}")))
    }

    fn try_write(&self, contexts: &Contexts) -> io::Result<()> {
        // A symbolic link is preserved: its target is replaced.
        let path = fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone());
        let directory = match path.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)?;
        // Created with mode 0600.
        let mut file = tempfile::NamedTempFile::new_in(directory)?;
        file.write_all(contexts.to_toml().as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(&path)?;
        Ok(())
    }

    fn failure(&self, what: &str) -> Failure {
        Failure::Usage(format!("{}: {what}", self.path.display()))
    }
}

#[cfg(test)]
mod tests {
    use std::{fs::Permissions, os::unix::fs::PermissionsExt};

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_file_with_secrets_is_its_owners_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("new").join("config.toml");
        let file = ContextFile {
            path: path.clone(),
            is_default: false,
        };
        assert!(file.read().unwrap().all.is_empty());
        let contexts = |text| Contexts::parse(text, Path::new("/")).unwrap();
        file.write(&contexts("contexts.a.server = 'a:1'")).unwrap();
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        file.read().unwrap();

        file.write(&contexts("contexts.a.token = 's3cret'"))
            .unwrap();
        assert_eq!(mode(&path), 0o600);
        file.read().unwrap();
        for open in [0o640, 0o604, 0o622] {
            fs::set_permissions(&path, Permissions::from_mode(open)).unwrap();
            let message = file.read().unwrap_err().message().unwrap();
            assert!(message.contains("run: chmod 600 "), "{message}");
            assert!(message.contains(path.to_str().unwrap()), "{message}");
            assert!(!message.contains("s3cret"), "{message}");
        }
        let left = fs::read_dir(path.parent().unwrap()).unwrap().count();
        assert_eq!(left, 1);
    }

    #[test]
    fn a_link_to_the_file_stays_one() {
        let directory = tempfile::tempdir().unwrap();
        let (target, link) = (
            directory.path().join("target"),
            directory.path().join("link"),
        );
        fs::write(&target, "").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        let file = ContextFile {
            path: link.clone(),
            is_default: false,
        };
        file.write(&Contexts {
            current: Some("a".to_owned()),
            ..Contexts::default()
        })
        .unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(file.read().unwrap().current.as_deref(), Some("a"));
    }
}
