//! `pipewright user`, `pipewright token` and `pipewright certificate`.

use std::{
    fs,
    io::Write,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::{Command, Stdio},
};

use crate::binary::{Ran, assert_shown, pipewright};

/// The path of a credentials file that does not exist yet.
struct Credentials {
    directory: tempfile::TempDir,
}

impl Credentials {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self { directory }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("pipewright/credentials.toml")
    }

    fn text(&self) -> String {
        fs::read_to_string(self.path()).unwrap()
    }

    fn command(&self, line: &str) -> Command {
        let arguments: Vec<_> = line.split(' ').collect();
        let mut command = pipewright(&arguments);
        command.env_remove("PIPEWRIGHT_CREDENTIALS");
        command.env("XDG_CONFIG_HOME", self.directory.path());
        command
    }

    fn run(&self, line: &str) -> Ran {
        Ran::of(self.command(line).output().unwrap())
    }

    /// Passes this text on standard input.
    fn typing(&self, line: &str, text: &str) -> Ran {
        let mut command = self.command(line);
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = piped.stderr(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(text.as_bytes()).unwrap();
        drop(stdin);
        Ran::of(child.wait_with_output().unwrap())
    }

    /// The output, with placeholders for values that differ between runs.
    fn shown(&self, ran: &Ran) -> String {
        let directory = self.directory.path().to_str().unwrap();
        let shown = ran.shown().replace(directory, "[directory]");
        let ids = regex::Regex::new(r"\b[0-9a-f]{12}\b").unwrap();
        ids.replace_all(&shown, "[token id]").into_owned()
    }
}

#[test]
fn a_user_lives_from_add_to_remove() {
    let place = Credentials::new();
    let line = "user add ada --role shop=developer --role viewer --password-stdin";
    let added = place.typing(line, "correct horse\n");
    assert_shown!(place.shown(&added));
    let mode = fs::metadata(place.path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
    let first = place.text();
    assert!(first.contains("$argon2id$v=19$m=19456,t=2,p=1$"), "{first}");
    assert!(!first.contains("correct horse"));

    // Changes that a person makes in the file are preserved.
    fs::write(place.path(), format!("# By hand.\n\n{first}")).unwrap();
    place.typing("user set-password ada", "another horse").ok();
    let second = place.text();
    assert!(second.starts_with("# By hand.\n"), "{second}");
    assert_ne!(first, second);
    place.run("user set-roles ada --role shop=deployer").ok();
    place
        .typing("user add bob --role admin", "third horse\n")
        .ok();
    assert_shown!(place.shown(&place.run("user list")));
    let list = place.run("user list -o json").json();
    assert_eq!(list["users"][0]["name"], "ada");
    assert_eq!(list["users"][0]["roles"]["shop"][0], "deployer");
    place.run("user remove ada").ok();
    let list = place.run("user list -o json").json();
    assert_eq!(list["users"].as_array().unwrap().len(), 1);
}

#[test]
fn a_token_is_printed_once_and_revoked_by_name_or_id() {
    let place = Credentials::new();
    let made = place.run("token create ci --role shop=developer --expires 90d");
    let text = made.stdout.trim_end().to_owned();
    assert_eq!(text.lines().count(), 1, "{text}");
    let id = text.split('_').nth(1).unwrap().to_owned();
    assert!(made.stderr.contains(&id), "{made:?}");
    assert!(!made.stderr.contains(&text), "{made:?}");
    assert!(!place.text().contains(&text));
    place.run("token create old --role runner").ok();
    place
        .run("token create tick --role viewer --expires 1ms")
        .ok();
    assert_shown!(place.shown(&place.run("token list")));
    let list = place.run("token list -o json").json();
    assert_eq!(list["tokens"][0]["id"], id.as_str());
    assert_eq!(list["tokens"][0]["state"], "ACTIVE");
    assert_eq!(list["tokens"][2]["state"], "EXPIRED");
    let revoked = place.run(&format!("token revoke {id}"));
    assert!(revoked.stderr.contains("`ci`"), "{revoked:?}");
    place.run("token revoke old").ok();
    let list = place.run("token list -o json").json();
    assert_eq!(list["tokens"].as_array().unwrap().len(), 1);
}

#[test]
fn certificates_are_added_listed_and_removed() {
    let place = Credentials::new();
    place
        .run("certificate add seven --san spiffe://ci.test/7 --role runner")
        .ok();
    place
        .run("certificate add eight --cn eight.test --role runner")
        .ok();
    assert_shown!(place.shown(&place.run("certificate list")));
    let list = place.run("certificate list -o json").json();
    let subject = &list["certificates"][0]["subjectAltName"];
    assert_eq!(subject, "spiffe://ci.test/7");
    place.run("certificate remove seven").ok();
    assert!(!place.text().contains("seven"));
}

#[test]
fn every_error_has_a_hint_and_its_exit_code() {
    let place = Credentials::new();
    let mut transcript = Vec::new();
    let mut record = |line: &str, typed: &str| {
        let ran = place.typing(line, typed);
        assert_ne!(ran.code, Some(0), "{ran:?}");
        transcript.push(format!("$ pipewright {line}\n{}", place.shown(&ran)));
    };
    record("user list", "");
    record("user add ada --role viewer", "");
    record("user add ada --role viewer", "short\n");
    place
        .typing("user add ada --role viewer", "correct horse\n")
        .ok();
    record("user add ada --role viewer", "correct horse\n");
    record("token create ada --role viewer", "");
    record("user remove bob", "");
    record("token revoke ada", "");
    place.run("certificate add seven --cn x --role runner").ok();
    record("certificate add eight --cn x --role runner", "");
    record("token list --credentials /dev/null/x", "");
    let mode = |bits| fs::set_permissions(place.path(), fs::Permissions::from_mode(bits)).unwrap();
    mode(0o644);
    record("user list", "");
    mode(0o600);
    fs::write(place.path(), "[[users]]\nname = 'a b'\n[[tokens]]\n").unwrap();
    record("user list", "");
    record("user remove ada", "");
    insta::assert_snapshot!(transcript.join("\n\n"));
}

#[test]
fn concurrent_additions_lose_nothing() {
    let place = Credentials::new();
    let start = |number: usize| {
        let line = format!("token create ci{number} --role viewer");
        let mut command = place.command(&line);
        command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    };
    let started: Vec<_> = (0..12).map(start).collect();
    for child in started {
        Ran::of(child.wait_with_output().unwrap()).ok();
    }
    let list = place.run("token list -o json").json();
    assert_eq!(list["tokens"].as_array().unwrap().len(), 12);
}

#[test]
fn the_file_is_set_by_flag_or_environment() {
    let place = Credentials::new();
    let path = place.directory.path().join("mine.toml");
    let mut command = place.command("certificate add a --cn a --role viewer");
    command.env("PIPEWRIGHT_CREDENTIALS", &path);
    Ran::of(command.output().unwrap()).ok();
    let line = format!("certificate --credentials {} list -o json", path.display());
    let list = place.run(&line).json();
    assert_eq!(list["certificates"][0]["commonName"], "a");
    assert!(!place.path().exists());
}

fn mode(path: &std::path::Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn a_token_is_written_to_a_file_of_its_owners_alone() {
    let place = Credentials::new();
    let file = place.directory.path().join("ci.token");
    let name = file.to_str().unwrap();
    let create = |of: &str, more: &str| {
        place.run(&format!(
            "token create {of} --role viewer --token-out {name}{more}"
        ))
    };
    let made = create("ci", "");
    assert!(made.stderr.contains(name), "{made:?}");
    assert_eq!(made.ok(), "");
    assert_eq!(mode(&file), 0o600);
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.starts_with("pw_") && text.ends_with('\n'), "{text}");

    // What is in the way stays, and no token is made that no one has.
    let before = place.text();
    let refused = create("other", "");
    assert_eq!(refused.code, Some(5), "{refused:?}");
    assert!(refused.stderr.contains("--force"), "{refused:?}");
    let nowhere = place.run("token create other --role viewer --token-out /nonexistent/t");
    assert_eq!(nowhere.code, Some(2), "{nowhere:?}");
    let directory = place.directory.path().display();
    let directory = format!("token create other --role viewer --force --token-out {directory}");
    let directory = place.run(&directory);
    assert_eq!(directory.code, Some(2), "{directory:?}");
    let taken = create("ci", " --force");
    assert_eq!(taken.code, Some(5), "{taken:?}");
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
    assert_eq!(place.text(), before);
    let files = fs::read_dir(place.directory.path()).unwrap().count();
    assert_eq!(files, 2, "the token and the credentials");

    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    create("other", " --force").ok();
    assert_ne!(fs::read_to_string(&file).unwrap(), text);
    assert_eq!(mode(&file), 0o600);
}

#[test]
fn a_token_that_cannot_be_printed_is_not_made() {
    let place = Credentials::new();
    for line in ["token create ci --role viewer", "token rotate old"] {
        place.run("token create old --role viewer").ok();
        let before = place.text();
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let ran = place.command(line).stdout(full).output().unwrap();
        assert_eq!(ran.status.code(), Some(2), "{ran:?}");
        assert_eq!(place.text(), before);
        place.run("token revoke old").ok();
    }
}

#[test]
fn a_token_in_a_file_that_others_can_read_causes_a_warning() {
    let place = Credentials::new();
    let file = place.directory.path().join("printed");
    for (bits, is_warned) in [(0o600, false), (0o640, true), (0o644, true)] {
        let stdout = fs::File::create(&file).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(bits)).unwrap();
        let line = format!("token create of-{bits:o} --role viewer");
        let ran = place.command(&line).stdout(stdout).output().unwrap();
        let told = String::from_utf8(ran.stderr).unwrap();
        assert!(ran.status.success(), "{told}");
        assert_eq!(told.contains("use --token-out FILE"), is_warned, "{told}");
    }
}

#[test]
fn a_token_is_rotated_with_an_overlap() {
    let place = Credentials::new();
    let file = place.directory.path().join("ci.token");
    let name = file.to_str().unwrap();
    place
        .run(&format!(
            "token create ci --role shop=developer --expires 90d --token-out {name}"
        ))
        .ok();
    let first = fs::read_to_string(&file).unwrap();
    let id = |text: &str| text.split('_').nth(1).unwrap().to_owned();
    let list = || place.run("token list -o json").json()["tokens"][0].clone();
    let before = list();
    let rotated = place.run(&format!("token rotate ci --token-out {name} --force"));
    assert_shown!(place.shown(&rotated));
    let second = fs::read_to_string(&file).unwrap();
    let after = list();
    assert_eq!(after["id"], id(&second).as_str());
    assert_eq!(after["replaced"]["id"], id(&first).as_str());
    assert_eq!(after["roles"], before["roles"]);
    assert!(after["expireTime"].is_string(), "{after}");
    assert_shown!(place.shown(&place.run("token list")));

    let revoked = place.run(&format!("token revoke {}", id(&first)));
    assert!(
        revoked.stderr.contains("the replaced token of `ci`"),
        "{revoked:?}"
    );
    assert!(list()["replaced"].is_null());
    let third = place.run("token rotate ci --overlap 0s --expires 1d");
    assert!(third.stderr.contains("is no longer good"), "{third:?}");
    assert_eq!(list()["id"], id(&third.ok()).as_str());
    assert!(list()["replaced"].is_null());
    for (line, code) in [
        ("token rotate unknown", 4),
        ("token rotate ci --overlap 5", 2),
        ("token rotate ci --force", 2),
    ] {
        assert_eq!(place.run(line).code, Some(code), "{line}");
    }
}
