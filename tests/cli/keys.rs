//! `pipewright key`, and the keys in the settings of `pipewright serve`.

use std::{fs, os::unix::fs::PermissionsExt};

use base64::{Engine, prelude::BASE64_STANDARD};

use crate::binary::{Ran, pipewright, run};

/// A key as text, and the settings check with it in the environment.
fn check_of(keys: &str, arguments: &[&str]) -> Ran {
    let mut command = pipewright(&[&["config", "check"], arguments].concat());
    command.env("PIPEWRIGHT_ENCRYPTION_KEY", keys);
    Ran::of(command.output().unwrap())
}

#[test]
fn a_key_is_printed_and_is_new_each_time() {
    let [one, other] = [(); 2].map(|()| run(&["key", "generate"]));
    assert!(
        one.stderr.contains("it is shown only now"),
        "{}",
        one.stderr
    );
    let [one, other] = [one.ok(), other.ok()];
    assert_eq!(BASE64_STANDARD.decode(one.trim_end()).unwrap().len(), 32);
    assert_ne!(one, other);
    let json = run(&["key", "generate", "-o", "json"]).json();
    let id = json["id"].as_str().unwrap();
    assert_eq!(id.len(), 16);
    assert_eq!(check_of(json["key"].as_str().unwrap(), &[]).ok(), "ok\n");
}

#[test]
fn a_key_is_written_to_a_new_private_file_that_the_settings_accept() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("encryption.keys");
    let path = path.to_str().unwrap();
    let generate = ["key", "generate", "--out", path];
    let made = run(&generate);
    let text = fs::read_to_string(path).unwrap();
    assert!(made.stderr.contains(path), "{}", made.stderr);
    assert!(!made.stderr.contains(&text[..44]), "{}", made.stderr);
    assert_eq!(made.ok(), "");
    let mode = fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);

    let check = ["config", "check", "--encryption-key-file", path];
    assert_eq!(run(&check).ok(), "ok\n");

    let again = run(&generate);
    assert_eq!(again.code, Some(5), "{}", again.stderr);
    assert_eq!(fs::read_to_string(path).unwrap(), text);
}

#[test]
fn keys_that_cannot_be_used_are_reported_without_the_key() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("encryption.keys");
    let check = [
        "config",
        "check",
        "--encryption-key-file",
        path.to_str().unwrap(),
    ];
    let missing = run(&check);
    assert!(
        missing.stderr.contains("there is no key file"),
        "{}",
        missing.stderr
    );

    fs::write(&path, "# ours\nhunter2-pass\n").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let exposed = run(&check);
    assert!(
        exposed.stderr.contains("has mode 0644"),
        "{}",
        exposed.stderr
    );
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let wrong = run(&check);
    assert_eq!(wrong.code, Some(3), "{}", wrong.stderr);
    let problem = "is not valid: line 2: the key is not base64";
    assert!(wrong.stderr.contains(problem), "{}", wrong.stderr);
    assert!(!wrong.stderr.contains("hunter2"), "{}", wrong.stderr);

    let wrong = check_of("hunter2-pass", &[]);
    let problem = "PIPEWRIGHT_ENCRYPTION_KEY: line 1: the key is not base64";
    assert!(wrong.stderr.contains(problem), "{}", wrong.stderr);
    assert!(!wrong.stderr.contains("hunter2"), "{}", wrong.stderr);

    let both = check_of(
        "hunter2-pass",
        &["--encryption-key-file", "encryption.keys"],
    );
    let problem = "environment PIPEWRIGHT_ENCRYPTION_KEY: excludes encryption_key_file";
    assert!(both.stderr.contains(problem), "{}", both.stderr);
    assert!(!both.stderr.contains("hunter2"), "{}", both.stderr);
}
