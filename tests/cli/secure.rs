//! End to end: a service with TLS and credentials, its clients and its runners, and
//! what its log shows about them.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf, process::Stdio};

use base64::{Engine, prelude::BASE64_STANDARD};
use rustix::process::Signal;

use crate::{
    binary::{Ran, Running, gate, pipewright},
    recorder::Authority,
};

const PASSWORD: &str = "correct horse battery staple";

/// A service with TLS. It has the user `ada`, an admin with a password, and the
/// credentials that a test adds. Its log goes to a file.
struct Secure {
    process: Option<Running>,
    server: String,
    directory: tempfile::TempDir,
}

impl Secure {
    fn start(prepare: impl FnOnce(&Self), log: &str) -> Self {
        let authority = Authority::new("ours");
        let directory = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| {
            let path = directory.path().join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        };
        let (certificate, key) = authority.sign("127.0.0.1");
        put("ca.pem", &authority.pem);
        put("service.crt", &certificate);
        put("service.key", &key);
        let (certificate, key) = authority.sign("runner.test");
        put("runner.crt", &certificate);
        put("runner.key", &key);
        let mut secure = Self {
            process: None,
            server: String::new(),
            directory,
        };
        let added = ["user", "add", "ada", "--role", "admin", "--password-stdin"];
        secure.manage_with(&added, &format!("{PASSWORD}\n")).ok();
        prepare(&secure);
        let mut serve = pipewright(&["serve", "--listen", "127.0.0.1:0"]);
        serve
            .args(["--credentials", &secure.file("credentials.toml")])
            .args(["--tls-certificate", &secure.file("service.crt")])
            .args(["--tls-key", &secure.file("service.key")])
            .args(["--tls-client-ca", &secure.file("ca.pem")])
            // Longer than a test takes: what is shown immediately must not result from silence.
            .args(["--lease-ttl", "10m"])
            .env("TMPDIR", secure.directory.path())
            .env("RUST_LOG", log)
            .stdout(Stdio::null())
            .stderr(fs::File::create(secure.path("log")).unwrap());
        secure.process = Some(Running::spawn(&mut serve));
        secure.until_logged("listening");
        let log = secure.log();
        let (_, address) = log.split_once("address=").unwrap();
        let address = address.split_whitespace().next().unwrap();
        secure.server = format!("https://{address}");
        secure
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn file(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap()
    }

    fn until_logged(&self, text: &str) {
        while !self.log().contains(text) {
            std::thread::yield_now();
        }
    }

    /// A command on the credentials file.
    fn manage(&self, arguments: &[&str]) -> Ran {
        self.manage_with(arguments, "")
    }

    fn manage_with(&self, arguments: &[&str], input: &str) -> Ran {
        let mut command = pipewright(arguments);
        command.env("PIPEWRIGHT_CREDENTIALS", self.path("credentials.toml"));
        fs::write(self.path("input"), input).unwrap();
        command.stdin(fs::File::open(self.path("input")).unwrap());
        Ran::of(command.output().unwrap())
    }

    /// A client command with the credentials in the environment.
    fn client(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Ran {
        let mut command = pipewright(arguments);
        command
            .args(["--server", &self.server, "--ca-cert", &self.file("ca.pem")])
            .envs(environment.iter().copied());
        Ran::of(command.output().unwrap())
    }

    fn as_ada(&self, arguments: &[&str]) -> Ran {
        let ada = [
            ("PIPEWRIGHT_USERNAME", "ada"),
            ("PIPEWRIGHT_PASSWORD", PASSWORD),
        ];
        self.client(arguments, &ada)
    }
}

#[test]
fn users_tokens_and_runners_are_authorized_by_role() {
    let secure = Secure::start(
        |secure| {
            let token = ["token", "create", "ci", "--role", "default=developer"];
            let made = secure.manage(&token).ok();
            fs::write(secure.path("ci.token"), made).unwrap();
            let runner = [
                "certificate",
                "add",
                "runner",
                "--san",
                "runner.test",
                "--role",
                "runner",
            ];
            secure.manage(&runner).ok();
        },
        "info",
    );
    let token = fs::read_to_string(secure.path("ci.token")).unwrap();
    let ci = [("PIPEWRIGHT_TOKEN", token.trim())];
    let data = r#"{"name":"p","stages":[{"name":"s","command":"echo done","runner_labels":{"place":"far"}}]}"#;
    let refused = secure.client(&["pipeline", "create", "--data", data], &ci);
    assert_eq!(refused.code, Some(6), "{refused:?}");
    secure.as_ada(&["pipeline", "create", "--data", data]).ok();
    let wrong = [
        ("PIPEWRIGHT_USERNAME", "ada"),
        ("PIPEWRIGHT_PASSWORD", "wrong one"),
    ];
    assert_eq!(secure.client(&["pipeline", "list"], &wrong).code, Some(6));
    assert_eq!(secure.client(&["pipeline", "list"], &[]).code, Some(6));
    assert_eq!(secure.client(&["health"], &[]).ok(), "SERVING\n");

    // Authenticated, but without the role `runner`.
    let not_one = secure.client(&["runner"], &ci);
    assert_eq!(not_one.code, Some(6), "{not_one:?}");
    assert!(
        not_one.stderr.contains("needs the role runner")
            && !not_one.stderr.contains("does not know"),
        "{not_one:?}"
    );

    let mut runner = pipewright(&["runner", "--labels", "place=far"]);
    runner
        .args([
            "--server",
            &secure.server,
            "--ca-cert",
            &secure.file("ca.pem"),
        ])
        .args(["--client-cert", &secure.file("runner.crt")])
        .args(["--client-key", &secure.file("runner.key")])
        .env("TMPDIR", secure.directory.path());
    let mut runner = Running::start(&mut runner);
    runner.until_stderr("registered");
    let watched = secure
        .client(&["pipeline", "trigger", "p", "--watch"], &ci)
        .ok();
    assert!(watched.contains("[s] done"), "{watched}");

    // Revoked credentials are rejected without a restart, also on open connections.
    secure.manage(&["token", "revoke", "ci"]).ok();
    secure.manage(&["certificate", "remove", "runner"]).ok();
    secure.process.as_ref().unwrap().signal(Signal::HUP);
    let ended = runner.finish();
    assert_eq!(ended.code, Some(6), "{ended:?}");
    let hint = "knows no principal for the names in the client certificate";
    assert!(ended.stderr.contains(hint), "{ended:?}");
    assert_eq!(secure.client(&["pipeline", "list"], &ci).code, Some(6));

    let log = secure.log();
    let audited: Vec<&str> = log
        .lines()
        .filter(|line| line.contains(" audit "))
        .collect();
    let is_told = |words: &[&str]| {
        let says = |line: &&str| words.iter().all(|word| line.contains(word));
        assert!(audited.iter().any(says), "{words:?} in {audited:#?}");
    };
    is_told(&[
        "\"ci\"",
        "CreatePipeline",
        "PermissionDenied",
        "peer=127.0.0.1:",
    ]);
    is_told(&["\"ada\"", "CreatePipeline", "outcome=Ok", "pipeline "]);
    is_told(&["\"ci\"", "TriggerPipeline", "outcome=Ok", "job "]);
    assert!(
        log.contains("refused a caller error=the credentials are not valid"),
        "{log}"
    );
    is_told(&["\"runner\"", "RegisterRunner", "outcome=Ok", "runner "]);
}

#[test]
fn a_runner_switches_to_new_tokens_and_reports_a_revoked_one_immediately() {
    let secure = Secure::start(
        |secure| {
            let token = ["token", "create", "far", "--role", "runner", "--token-out"];
            let file = secure.file("far.token");
            secure.manage(&[&token[..], &[&file]].concat()).ok();
        },
        "info",
    );
    let file = secure.file("far.token");
    let go = secure.path("go");
    gate(&go);
    let data = serde_json::json!({
        "name": "p",
        "stages": [{
            "name": "s",
            "command": format!("echo ready; cat {}", go.display()),
            "runner_labels": {"place": "far"},
        }],
    });
    let data = data.to_string();
    secure.as_ada(&["pipeline", "create", "--data", &data]).ok();
    let mut runner = pipewright(&["runner", "--name", "far", "--labels", "place=far"]);
    runner
        .args([
            "--server",
            &secure.server,
            "--ca-cert",
            &secure.file("ca.pem"),
        ])
        .args(["--token-file", &file])
        .env("TMPDIR", secure.directory.path());
    let mut runner = Running::start(&mut runner);
    runner.until_stderr("registered");
    let state = || {
        let shown = secure
            .as_ada(&["runner", "get", "far", "-o", "json"])
            .json();
        shown["state"].as_str().unwrap().to_owned()
    };
    let until_state = |expected: &str| {
        while state() != expected {
            std::thread::yield_now();
        }
    };

    // Without an overlap, the token that the runner has used is not good any more.
    let rotate = [
        "token",
        "rotate",
        "far",
        "--overlap",
        "0s",
        "--force",
        "--token-out",
    ];
    secure.manage(&[&rotate[..], &[&file]].concat()).ok();
    runner.until_stderr("read the token again");
    until_state("STATE_ONLINE");

    let triggered = secure
        .as_ada(&["pipeline", "trigger", "p", "-o", "json"])
        .json();
    let job = triggered["id"].as_str().unwrap().to_owned();
    runner.until_stderr("stage started");
    secure.manage(&["token", "revoke", "far"]).ok();
    let warning = runner.until_stderr("no longer accepts this runner's credentials");
    let line = warning.lines().last().unwrap();
    assert!(line.contains("WARN") && line.contains(&file), "{line}");
    // Its lease lives on, and so does its stage.
    until_state("STATE_OFFLINE");
    let make = [
        "token",
        "create",
        "far",
        "--role",
        "runner",
        "--force",
        "--token-out",
    ];
    secure.manage(&[&make[..], &[&file]].concat()).ok();
    runner.until_stderr("accepts the credentials again");
    until_state("STATE_ONLINE");
    fs::write(&go, "").unwrap();
    secure.as_ada(&["job", "watch", &job]).ok();
    runner.signal(Signal::TERM);
    assert_eq!(runner.finish().code, Some(0));
    assert_eq!(state(), "STATE_OFFLINE");
}

#[test]
fn a_name_with_a_line_break_is_no_line_of_the_log() {
    let secure = Secure::start(
        |secure| {
            let token = ["token", "create", "ci", "--role", "shop=viewer"];
            let made = secure.manage(&token).ok();
            fs::write(secure.path("ci.token"), made).unwrap();
        },
        "debug",
    );
    let token = fs::read_to_string(secure.path("ci.token")).unwrap();
    let data = r#"{"name":"p","project":"a\nforged","stages":[{"name":"s","command":"true"}]}"#;
    let refused = secure.client(
        &["pipeline", "create", "--data", data],
        &[("PIPEWRIGHT_TOKEN", token.trim())],
    );
    assert_ne!(refused.code, Some(0));
    secure.until_logged("PROJECT_NOT_FOUND");
    let log = secure.log();
    assert!(!log.lines().any(|line| line.starts_with("forged")), "{log}");
}

#[test]
fn no_log_level_shows_a_password_or_a_token() {
    let secure = Secure::start(
        |secure| {
            let token = ["token", "create", "ci", "--role", "developer"];
            let made = secure.manage(&token).ok();
            fs::write(secure.path("ci.token"), made).unwrap();
        },
        "trace",
    );
    let token = fs::read_to_string(secure.path("ci.token")).unwrap();
    let token = token.trim();
    let data = r#"{"name":"p","secret_variables":{"S":"whispered words"},"stages":[{"name":"s","command":"true"}]}"#;
    secure.as_ada(&["pipeline", "create", "--data", data]).ok();
    secure
        .client(&["pipeline", "list"], &[("PIPEWRIGHT_TOKEN", token)])
        .ok();
    let wrong = [
        ("PIPEWRIGHT_USERNAME", "ada"),
        ("PIPEWRIGHT_PASSWORD", "nearly right"),
    ];
    assert_eq!(secure.client(&["pipeline", "list"], &wrong).code, Some(6));
    let watched = ["pipeline", "trigger", "p", "--watch", "--secret-var", "T"];
    let ada = [
        ("PIPEWRIGHT_USERNAME", "ada"),
        ("PIPEWRIGHT_PASSWORD", PASSWORD),
        ("T", "murmured words"),
    ];
    secure.client(&watched, &ada).ok();

    let mut runner = pipewright(&["runner", "--server", &secure.server]);
    runner
        .args(["--ca-cert", &secure.file("ca.pem")])
        .env("PIPEWRIGHT_TOKEN", token)
        .env("RUST_LOG", "trace")
        .env("TMPDIR", secure.directory.path());
    let runner = Ran::of(runner.output().unwrap());
    assert_eq!(runner.code, Some(6), "a developer is no runner");

    let log = secure.log() + &runner.stderr;
    // Log lines of h2 and of rustls: they do log.
    for word in ["received frame=Headers", "decided upon suite"] {
        assert!(log.contains(word), "no line has {word}");
    }
    let basic = |password: &str| BASE64_STANDARD.encode(format!("ada:{password}"));
    for secret in [
        PASSWORD,
        token,
        &basic(PASSWORD),
        "nearly right",
        &basic("nearly right"),
        "whispered words",
        "murmured words",
    ] {
        let at = log.lines().find(|line| line.contains(secret));
        assert_eq!(at, None, "{secret} is logged");
        let bytes = format!("{:?}", secret.as_bytes());
        let as_list = bytes.trim_matches(['[', ']']);
        assert!(!log.contains(as_list), "{secret} is logged as bytes");
    }
}
