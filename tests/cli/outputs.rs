//! One outcome and one exit code: the messages of commands if something cannot be
//! written, and their format.

use std::{
    fs::{self, File},
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::binary::{Ran, Served, pipewright};

/// Runs the command with a standard output that rejects all writes.
fn full(mut command: Command) -> Ran {
    let full = File::options().write(true).open("/dev/full").unwrap();
    let child = command.stdout(full).stderr(Stdio::piped()).spawn();
    Ran::of(child.unwrap().wait_with_output().unwrap())
}

#[test]
fn a_full_output_is_not_reported_as_an_unavailable_service() {
    let served = Served::start(&["--no-embedded-runner"]);
    served.create("p", "true");
    let job = served.trigger("p");
    for arguments in [
        &["--help"][..],
        &["--version"],
        &["health"],
        &["config", "show"],
        &["config", "check"],
        &["pipeline", "list"],
        &["pipeline", "get", "p", "-o", "json"],
        &["get-pipeline", "--pipeline-id", "p"],
        &["job", "get", &job],
        &["job", "list"],
        &["runner", "list"],
        &["project", "list"],
        &["admin", "tasks"],
    ] {
        let ran = full(served.command(arguments));
        assert_eq!(ran.code, Some(2), "{arguments:?}: {ran:?}");
        let expected = "cannot write to standard output: No space left";
        assert!(ran.stderr.contains(expected), "{arguments:?}: {ran:?}");
    }
}

/// The error says that the change was made, so that a user does not repeat it.
#[test]
fn a_change_whose_result_cannot_be_written_is_reported_as_made() {
    let served = Served::start(&["--no-embedded-runner"]);
    let data = "{name: p, stages: [{name: s, command: 'true'}]}";
    let other = "{name: q, stages: [{name: s, command: 'true'}]}";
    for (arguments, done) in [
        (
            &["pipeline", "create", "--data", data][..],
            "the pipeline was created",
        ),
        (
            &["create-pipeline", "--data", other],
            "the pipeline was created",
        ),
        (
            &["pipeline", "update", "p", "--data", "{parallel: true}"],
            "the pipeline was updated",
        ),
        (&["pipeline", "trigger", "q"], "the job was started"),
        (&["project", "create", "shop"], "the project was created"),
        (
            &["pipeline", "delete", "p", "-o", "json"],
            "the pipeline was deleted",
        ),
    ] {
        let ran = full(served.command(arguments));
        assert_eq!(ran.code, Some(2), "{arguments:?}: {ran:?}");
        let expected = format!("{done}, but the result cannot be written to standard output: ");
        assert!(ran.stderr.contains(&expected), "{arguments:?}: {ran:?}");
    }
}

#[test]
fn the_result_of_a_job_takes_precedence_over_its_output() {
    let directory = tempfile::tempdir().unwrap();
    let run = |command: &str| {
        let file = directory.path().join("p.json");
        let stage = serde_json::json!({ "name": "s", "command": command });
        let pipeline = serde_json::json!({ "name": "p", "stages": [stage] });
        fs::write(&file, pipeline.to_string()).unwrap();
        full(pipewright(&["run", file.to_str().unwrap()]))
    };
    let expected = "cannot write to standard output: ";
    let failed = run("echo out; exit 3");
    assert_eq!(failed.code, Some(1), "{failed:?}");
    assert!(failed.stderr.contains(expected), "{failed:?}");
    let succeeded = run("echo out");
    assert_eq!(succeeded.code, Some(2), "{succeeded:?}");
    assert!(succeeded.stderr.contains(expected), "{succeeded:?}");

    let served = Served::start(&[]);
    served.create("p", "echo out; exit 3");
    let watched = full(served.command(&["pipeline", "trigger", "p", "--watch"]));
    assert_eq!(watched.code, Some(1), "{watched:?}");
}

#[test]
fn a_token_that_cannot_be_shown_is_not_created() {
    let directory = tempfile::tempdir().unwrap();
    let credentials = directory.path().join("credentials.toml");
    let command = |arguments: &[&str]| {
        let mut command = pipewright(arguments);
        command.env("PIPEWRIGHT_CREDENTIALS", &credentials);
        command
    };
    let create = ["token", "create", "ci", "--role", "viewer"];
    let ran = full(command(&create));
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.stderr.contains("the token was not made"), "{ran:?}");
    assert!(!ran.stderr.contains("made the token"), "{ran:?}");

    // A pipe without a reader.
    let mut reader = Command::new("true").stdin(Stdio::piped()).spawn().unwrap();
    let pipe = reader.stdin.take().unwrap();
    reader.wait().unwrap();
    let mut into_pipe = command(&create);
    let child = into_pipe.stdout(pipe).stderr(Stdio::piped()).spawn();
    let ran = Ran::of(child.unwrap().wait_with_output().unwrap());
    assert_eq!(ran.code, Some(2), "{ran:?}");

    // Closed, or the null device.
    let mut shell = Command::new("sh");
    shell.args([
        "-c",
        "exec \"$0\" \"$@\" >&-",
        env!("CARGO_BIN_EXE_pipewright"),
    ]);
    shell
        .args(create)
        .env("PIPEWRIGHT_CREDENTIALS", &credentials);
    let mut null = command(&create);
    null.stdout(Stdio::null()).stderr(Stdio::piped());
    for mut command in [shell, null] {
        let child = command.stderr(Stdio::piped()).spawn().unwrap();
        let ran = Ran::of(child.wait_with_output().unwrap());
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(ran.stderr.contains("the token would be lost"), "{ran:?}");
    }

    // No token was created, so the name is free.
    let made = Ran::of(
        command(&[&create[..], &["-o", "json"]].concat())
            .output()
            .unwrap(),
    );
    let made: Value = made.json();
    assert!(made["token"].as_str().unwrap().starts_with("pw_"), "{made}");
}

/// No file may grow, so each of the commands can read its file but not write it.
#[test]
fn a_file_that_cannot_be_written_is_the_only_outcome() {
    let directory = tempfile::tempdir().unwrap();
    let managed = |program: &str, line: &str| {
        let mut command = Command::new("sh");
        let limited = "trap '' XFSZ; ulimit -f 0; exec \"$0\" \"$@\"";
        let script = if program == "limited" {
            limited
        } else {
            "exec \"$0\" \"$@\""
        };
        command
            .args(["-c", script, env!("CARGO_BIN_EXE_pipewright")])
            .args(line.split(' '))
            .env(
                "PIPEWRIGHT_CLIENT_CONFIG",
                directory.path().join("config.toml"),
            )
            .env(
                "PIPEWRIGHT_CREDENTIALS",
                directory.path().join("credentials.toml"),
            );
        Ran::of(command.output().unwrap())
    };
    let states = || {
        let lists = ["context list", "token list", "certificate list"];
        lists.map(|line| managed("unlimited", line).ok())
    };
    for line in [
        "context set a --server a:1",
        "context set b --server b:1",
        "token create ci --role viewer",
        "certificate add one --role viewer --cn one",
    ] {
        managed("unlimited", line).ok();
    }
    let before = states();
    for line in [
        "context set c --server c:1",
        "context use b",
        "context remove a",
        "token create cd --role viewer",
        "token revoke ci",
        "certificate add two --role viewer --cn two",
        "certificate remove one",
    ] {
        let ran = managed("limited", line);
        assert_eq!(ran.code, Some(2), "{line}: {ran:?}");
        let lines = ran.stderr.lines().count();
        assert_eq!((ran.stdout.as_str(), lines), ("", 1), "{line}: {ran:?}");
        assert!(ran.stderr.contains("File too large"), "{line}: {ran:?}");
    }
    assert_eq!(states(), before);
}

#[test]
fn the_output_format_may_be_set_at_every_level() {
    let served = Served::start(&["--no-embedded-runner"]);
    served.create("p", "true");
    for (group, command) in [
        ("pipeline", "list"),
        ("job", "list"),
        ("runner", "list"),
        ("project", "list"),
        ("admin", "tasks"),
    ] {
        let expected = served.run(&[group, command, "-o", "json"]).json();
        for arguments in [
            ["-o", "json", group, command],
            [group, "-o", "json", command],
            ["--output=json", group, command, "--all"],
            [group, "-ojson", command, "--all"],
        ] {
            let ran = served.run(&arguments).json();
            // Tasks run meanwhile.
            if group != "admin" {
                assert_eq!(ran, expected, "{arguments:?}");
            }
        }
    }
    for arguments in [
        &["-o", "json", "health"][..],
        &["config", "show", "-o", "json"],
        &["config", "check", "-o", "json"],
    ] {
        served.run(arguments).json();
    }
}

/// From the service, from a name look-up, from this program, or from its parser.
#[test]
fn an_error_in_json_has_a_reason() {
    let served = Served::start(&["--no-embedded-runner"]);
    for (arguments, exit, reason) in [
        (&["pipeline", "get", "q"][..], 4, "PIPELINE_NOT_FOUND"),
        (
            &["pipeline", "update", "q", "--data", "{parallel: true}"],
            4,
            "PIPELINE_NOT_FOUND",
        ),
        (&["pipeline", "trigger", "q"], 4, "PIPELINE_NOT_FOUND"),
        (&["pipeline", "delete", "q"], 4, "PIPELINE_NOT_FOUND"),
        (&["job", "list", "--pipeline", "q"], 4, "PIPELINE_NOT_FOUND"),
        (&["runner", "get", "r"], 4, "RUNNER_NOT_FOUND"),
        (&["runner", "drain", "r"], 4, "RUNNER_NOT_FOUND"),
        (&["runner", "resume", "r"], 4, "RUNNER_NOT_FOUND"),
        (&["project", "get", "shop"], 4, "PROJECT_NOT_FOUND"),
        (&["pipeline", "create", "--data", "{"], 3, "INPUT_INVALID"),
        (&["pipeline", "create", "--file", "/nowhere"], 2, "USAGE"),
        (&["pipeline", "nonsense"], 2, "USAGE"),
        (&["job", "get"], 2, "USAGE"),
        (&["--context", "nowhere", "job", "list"], 2, "USAGE"),
    ] {
        for arguments in [
            [&["-o", "json"], arguments].concat(),
            [arguments, &["-o", "json"]].concat(),
        ] {
            let ran = served.run(&arguments);
            assert_eq!(ran.code, Some(exit), "{arguments:?}: {ran:?}");
            let error: Value = serde_json::from_str(&ran.stderr).unwrap();
            assert_eq!(error["error"]["reason"], reason, "{arguments:?}: {error}");
        }
    }
}
