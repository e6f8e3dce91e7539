use std::{
    fs::{self, Permissions},
    mem,
    os::unix::fs::PermissionsExt,
    path::Path,
};

use secrecy::ExposeSecret;
use tempfile::TempDir;

use super::{key, text_of};
use crate::{
    private_file::Locked,
    store::{EncryptionKey, KeyFile, KeyFileError, Keyring, codec::Seal},
};

const OWNERS: [&str; 3] = ["jobs/1", "jobs/2", "pipelines/3/1"];

fn file_with(text: &str) -> (TempDir, KeyFile) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("encryption.keys");
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    (directory, KeyFile::new(path))
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn a_new_file_has_the_key_and_is_private() {
    let directory = tempfile::tempdir().unwrap();
    let file = KeyFile::new(directory.path().join("encryption.keys"));
    file.create(&key(1)).unwrap();
    assert_eq!(file.read().unwrap().ids(), [key(1).id()]);
    assert_eq!(mode(file.path()), 0o600);
    let text = fs::read_to_string(file.path()).unwrap();
    assert_eq!(text, format!("{} # {}\n", text_of(1), key(1).id()));
}

#[test]
fn a_file_that_exists_is_not_overwritten() {
    let (directory, file) = file_with("something else");
    let error = file.create(&EncryptionKey::generate()).unwrap_err();
    let expected = format!(
        "{} exists; name another file, because without its keys the secrets that they encrypt are \
         lost",
        file.path().display()
    );
    assert_eq!(error.to_string(), expected);
    assert_eq!(fs::read_to_string(file.path()).unwrap(), "something else");
    // Also if it leads nowhere.
    let link = directory.path().join("link");
    std::os::unix::fs::symlink("nowhere", &link).unwrap();
    let error = KeyFile::new(link).create(&key(1)).unwrap_err();
    assert!(matches!(error, KeyFileError::Exists { .. }), "{error}");
}

#[test]
fn a_file_that_cannot_be_used_is_reported_with_its_problem() {
    let secret = text_of(1);
    let (directory, file) = file_with(&format!("{secret}\n{secret}x\n"));
    let path = file.path().display().to_string();
    let wrong = file.read().unwrap_err();
    assert_eq!(
        wrong.to_string(),
        format!(
            "the key file {path} is not valid: line 2: the key is not base64; `pipewright key \
             generate` makes one"
        )
    );
    assert!(!format!("{wrong:?}").contains(&secret[..8]), "{wrong:?}");

    fs::set_permissions(file.path(), Permissions::from_mode(0o644)).unwrap();
    let exposed = file.read().unwrap_err().to_string();
    let expected = format!("the key file {path} has mode 0644, by which others can read or change");
    assert!(exposed.starts_with(&expected), "{exposed}");

    let missing = KeyFile::new(directory.path().join("none"));
    let path = missing.path().display();
    assert_eq!(
        missing.read().unwrap_err().to_string(),
        format!("there is no key file {path}; `pipewright key generate --out {path}` makes one")
    );

    let (_directory, large) = file_with(&"#".repeat(65 * 1024));
    let error = large.read().unwrap_err().to_string();
    assert!(error.ends_with("it has more than 65536 bytes"), "{error}");
}

#[test]
fn a_rotation_adds_a_primary_and_removes_the_others() {
    let one = text_of(1);
    let (_directory, file) = file_with(&format!("# of the service\n\n{one} # first\n"));
    let both = file.add_primary().unwrap();
    assert_eq!(both.ids()[1..], [key(1).id()]);
    assert_eq!(file.read().unwrap().ids(), both.ids());
    let alone = file.remove_older(both.primary()).unwrap();
    assert_eq!(alone.ids(), [both.primary()]);
    assert_eq!(file.read().unwrap().ids(), alone.ids());
    assert_eq!(mode(file.path()), 0o600);
    let text = fs::read_to_string(file.path()).unwrap();
    let id = both.primary();
    assert!(
        text.ends_with(&format!(" # {id}\n# of the service\n\n")) && !text.contains(&one),
        "{}",
        text.len()
    );
}

#[test]
fn older_keys_on_the_line_of_the_primary_are_removed_too() {
    let (one, two, three) = (text_of(1), text_of(2), text_of(3));
    let (_directory, file) = file_with(&format!("{one} {two} # both\n{three}\n# end"));
    file.remove_older(key(1).id()).unwrap();
    let text = fs::read_to_string(file.path()).unwrap();
    assert_eq!(text, format!("{one}\n# end\n"));
}

/// A rotation that ends late must not remove the key that a later one is about to replace.
#[test]
fn older_keys_remain_if_another_key_became_the_primary() {
    let (_directory, file) = file_with(&text_of(1));
    let first = file.add_primary().unwrap().primary();
    let second = file.add_primary().unwrap().primary();
    let error = file.remove_older(first).unwrap_err();
    let expected = format!(
        "the primary key in {} is {second} now, and not {first}; no key was removed; rotate again",
        file.path().display()
    );
    assert_eq!(error.to_string(), expected);
    assert_eq!(file.read().unwrap().ids(), [second, first, key(1).id()]);
}

#[test]
fn a_file_that_is_not_valid_is_not_changed() {
    let (_directory, file) = file_with("nonsense");
    assert!(file.add_primary().is_err());
    assert!(file.remove_older(key(1).id()).is_err());
    assert_eq!(fs::read_to_string(file.path()).unwrap(), "nonsense");
}

/// The wrapped data keys of a store, and a secret of each owner.
struct Stored(Vec<(&'static str, Vec<u8>, Vec<u8>)>);

impl Stored {
    fn new(keys: &Keyring) -> Self {
        let rows = OWNERS.map(|owner| {
            let (data_key, wrapped) = keys.new_data_key(owner);
            (owner, wrapped, data_key.seal(owner, owner.as_bytes()))
        });
        Self(rows.into())
    }

    /// What a service finds that starts now.
    fn assert_readable(&self, file: &KeyFile) {
        let keys = file.read().unwrap();
        for (owner, wrapped, sealed) in &self.0 {
            let data_key = keys.unwrap(owner, wrapped).unwrap();
            assert_eq!(data_key.open(owner, sealed).unwrap(), owner.as_bytes());
        }
    }
}

/// A crash between two steps is what is on the disk between them.
#[test]
fn the_file_opens_everything_between_any_two_steps_of_a_rotation() {
    let (directory, file) = file_with(&text_of(1));
    let mut stored = Stored::new(&file.read().unwrap());
    stored.assert_readable(&file);

    // A temporary file that a crash leaves behind changes nothing.
    let locked = Locked::lock(file.path()).unwrap();
    let (text, _) = file.with_primary(EncryptionKey::generate()).unwrap();
    mem::forget(file.prepare(&locked, &text).unwrap());
    drop(locked);
    stored.assert_readable(&file);

    let both = file.add_primary().unwrap();
    stored.assert_readable(&file);
    for row in 0..stored.0.len() {
        let (owner, wrapped, _) = &mut stored.0[row];
        *wrapped = both.rewrap(owner, wrapped).unwrap().unwrap();
        stored.assert_readable(&file);
    }

    let locked = Locked::lock(file.path()).unwrap();
    let (text, _) = file.without_older(both.primary()).unwrap();
    mem::forget(file.prepare(&locked, &text).unwrap());
    drop(locked);
    stored.assert_readable(&file);

    let alone = file.remove_older(both.primary()).unwrap();
    stored.assert_readable(&file);
    assert_eq!(alone.ids(), [both.primary()]);
    // Temporary files with keys are private.
    for entry in fs::read_dir(directory.path()).unwrap() {
        assert_eq!(mode(&entry.unwrap().path()), 0o600);
    }
}

/// A rotation that crashed is repeated from its start.
#[test]
fn an_interrupted_rotation_can_be_repeated() {
    let (_directory, file) = file_with(&text_of(1));
    let mut stored = Stored::new(&file.read().unwrap());
    let both = file.add_primary().unwrap();
    let (owner, wrapped, _) = &mut stored.0[0];
    *wrapped = both.rewrap(owner, wrapped).unwrap().unwrap();

    let three = file.add_primary().unwrap();
    assert_eq!(three.ids().len(), 3);
    for (owner, wrapped, _) in &mut stored.0 {
        *wrapped = three.rewrap(owner, wrapped).unwrap().unwrap();
    }
    file.remove_older(three.primary()).unwrap();
    stored.assert_readable(&file);
}

#[test]
fn a_generated_key_is_never_shown_but_by_its_text() {
    let (_directory, file) = file_with(&text_of(1));
    let text = EncryptionKey::generate().to_text();
    let keys = format!("{:?} {file:?} {text:?}", file.read().unwrap());
    assert!(!keys.contains(&text_of(1)[..8]) && !keys.contains(&text.expose_secret()[..8]));
}
