//! Credentials and traces: their sources, and the services that receive them.

use std::{
    fs,
    io::Write,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::{Command, Stdio},
};

use tempfile::TempDir;

use crate::{
    binary::{Ran, assert_shown, pipewright, run},
    recorder::{Recorder, Wants},
};

const TOKEN: &str = "t0p-s3cret";
const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// A user with their own contexts.
struct Home {
    directory: TempDir,
}

impl Home {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self { directory }
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("pipewright/config.toml")
    }

    fn command(&self, line: &str) -> Command {
        let mut command = pipewright(&line.split(' ').collect::<Vec<_>>());
        command
            .env_remove("PIPEWRIGHT_CLIENT_CONFIG")
            .env("XDG_CONFIG_HOME", self.directory.path());
        command
    }

    fn run(&self, line: &str) -> Ran {
        Ran::of(self.command(line).output().unwrap())
    }

    fn run_with_input(&self, line: &str, input: &str) -> Ran {
        let mut command = self.command(line);
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = piped.stderr(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // A refused command does not read its input.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        Ran::of(child.wait_with_output().unwrap())
    }
}

fn sent(values: &[Option<String>]) -> Vec<Option<&str>> {
    values.iter().map(Option::as_deref).collect()
}

#[test]
fn credentials_come_from_options_files_and_the_environment() {
    let recorder = Recorder::start(Wants::Nothing);
    let server = recorder.address.to_string();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    fs::write(&file, "from-file\n").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let file = file.to_str().unwrap();
    let health = |arguments: &[&str], environment: &[(&str, &str)]| {
        let mut command = pipewright(&[&["health", "--server", &server], arguments].concat());
        command.envs(environment.iter().copied());
        Ran::of(command.output().unwrap()).ok();
        recorder.take("authorization")
    };
    let of_token = [("PIPEWRIGHT_TOKEN", "e")];
    let of_user = [("PIPEWRIGHT_USERNAME", "u"), ("PIPEWRIGHT_PASSWORD", "p")];
    for (arguments, environment, expected) in [
        (&[][..], &[][..], None),
        (&["--token", "f"], &of_token, Some("Bearer f")),
        (&["--token-file", file], &of_token, Some("Bearer from-file")),
        (&[], &of_token, Some("Bearer e")),
        (&[], &of_user, Some("Basic dTpw")),
        (&["--username", "v"], &of_user, Some("Basic djpw")),
        (
            &["--username", "v", "--password", "q"],
            &of_token,
            Some("Basic djpx"),
        ),
        (&[], &[("PIPEWRIGHT_TOKEN", "")], None),
        (&[], &[("PIPEWRIGHT_TOKEN", "e\n")], Some("Bearer e")),
        (&[], &[("PIPEWRIGHT_TOKEN", "e\r\n")], Some("Bearer e")),
        (&[], &[("PIPEWRIGHT_TOKEN", "\n")], None),
        (
            &["--username", "u"],
            &[("PIPEWRIGHT_PASSWORD", "p\n")],
            Some("Basic dTpw"),
        ),
    ] {
        assert_eq!(
            sent(&health(arguments, environment)),
            [expected],
            "{arguments:?}"
        );
    }
}

#[test]
fn the_callers_trace_is_continued() {
    let recorder = Recorder::start(Wants::Nothing);
    let server = recorder.address.to_string();
    for (parent, expected) in [(PARENT, Some(PARENT)), ("00-nonsense", None)] {
        let mut command = pipewright(&["pipeline", "list", "--server", &server]);
        command.env("TRACEPARENT", parent).env("TRACESTATE", "a=1");
        let ran = Ran::of(command.output().unwrap());
        // The service has no pipelines; it is enough that it was called.
        assert_eq!(ran.code, Some(7), "{ran:?}");
        let seen = recorder.take("traceparent");
        assert_eq!(sent(&seen), [expected]);
    }
}

#[test]
fn a_context_is_created_used_and_removed() {
    let home = Home::new();
    let mut transcript = Vec::new();
    let mut record = |line: &str, input: &str| {
        let ran = home.run_with_input(line, input);
        transcript.push(format!("$ pipewright {line}\n{}", ran.shown()));
    };
    record("context list", "");
    record("context show", "");
    record(
        "context set prod --server https://ci.test --token-stdin",
        TOKEN,
    );
    record("context set dev --username me --password-stdin", TOKEN);
    record("context set plain --server ci.test:1", "");
    record(
        "context set mutual --server https://ci.test --client-cert /c.pem --client-key /k.pem",
        "",
    );
    record("context list", "");
    record("context use dve", "");
    record("context use dev", "");
    record("context show", "");
    record("context show mutual", "");
    record("context set prod --server https://elsewhere.test", "");
    record("context set prod --ca-cert /ca.pem --server-name ci", "");
    record("context set empty --token-stdin", "");
    record("context show prod", "");
    record("context remove dev", "");
    record("context remove dev", "");
    record("health --context dev", "");
    let transcript = transcript
        .join("\n\n")
        .replace(home.directory.path().to_str().unwrap(), "[home]");
    assert!(!transcript.contains(TOKEN), "{transcript}");
    assert_shown!(transcript);
    let mode = fs::metadata(home.file()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(fs::read_to_string(home.file()).unwrap().contains(TOKEN));
}

#[test]
fn credentials_of_a_context_are_sent_to_its_service_only() {
    let home = Home::new();
    let [own, other] = [(); 2].map(|()| Recorder::start(Wants::Nothing));
    let set = format!("context set prod --server {} --token-stdin", own.address);
    home.run_with_input(&set, TOKEN).ok();
    let bearer = format!("Bearer {TOKEN}");

    let quiet = home.run("health");
    assert_eq!((quiet.code, quiet.stderr.as_str()), (Some(0), ""));
    home.run(&format!("health --server http://{}", own.address))
        .ok();
    assert_eq!(sent(&own.take("authorization")), [Some(bearer.as_str()); 2]);

    let elsewhere = home.run(&format!("health --server {}", other.address));
    assert_eq!(sent(&other.take("authorization")), [None]);
    let expected = format!(
        "pipewright: the credentials of context `prod` are for http://{} and not sent to http://{}\n",
        own.address, other.address
    );
    assert_eq!(elsewhere.stderr, expected);
    let mut command = home.command("health");
    command.env("PIPEWRIGHT_SERVER", other.address.to_string());
    command.env("PIPEWRIGHT_TOKEN", "of-other");
    let quiet = Ran::of(command.output().unwrap());
    assert_eq!(quiet.stderr, "");
    assert_eq!(
        sent(&other.take("authorization")),
        [Some("Bearer of-other")]
    );
}

#[test]
fn a_contexts_file_that_others_can_read_is_refused() {
    let home = Home::new();
    home.run_with_input("context set prod --token-stdin", TOKEN)
        .ok();
    fs::set_permissions(home.file(), fs::Permissions::from_mode(0o644)).unwrap();
    let refused = home.run("health");
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(
        refused
            .stderr
            .contains("has mode 0644, by which others can read"),
        "{refused:?}"
    );
}

#[test]
fn credentials_are_not_sent_in_plaintext_to_another_machine() {
    // An address reserved for documentation: nothing listens there.
    let line = ["--server", "http://192.0.2.1:1", "--token", TOKEN];
    for command in [&["health"][..], &["job", "list"], &["runner"]] {
        let refused = run(&[command, &line].concat());
        assert_eq!(refused.code, Some(2), "{refused:?}");
        assert!(refused.stderr.contains("in plaintext"), "{refused:?}");
        assert!(!refused.stderr.contains(TOKEN), "{refused:?}");
    }
}

#[test]
fn a_refused_caller_gets_a_hint() {
    let recorder = Recorder::start(Wants::Authorization("Bearer right"));
    let server = recorder.address.to_string();
    let directory = tempfile::tempdir().unwrap();
    let workspaces = directory.path().to_str().unwrap();
    let mut transcript = Vec::new();
    for arguments in [
        &["pipeline", "list"][..],
        &["pipeline", "list", "--token", "wrong"],
        &["health"],
        &["pipeline", "list", "--username", "me"],
    ] {
        let ran = run(&[arguments, &["--server", &server]].concat());
        transcript.push(format!(
            "$ pipewright {}\n{}",
            arguments.join(" "),
            ran.shown()
        ));
    }
    assert_shown!(transcript.join("\n\n"));
    let runner = run(&["runner", "--server", &server, "--workspace-dir", workspaces]);
    assert_eq!(runner.code, Some(6), "{runner:?}");
    assert!(
        runner.stderr.contains("give credentials with --token-file"),
        "{runner:?}"
    );
}
