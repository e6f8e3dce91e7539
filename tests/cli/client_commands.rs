//! `pipewright pipeline` and `pipewright job`.

use serde_json::Value;

use crate::binary::{Ran, Served, assert_shown, gate};

const AS_IT_IS: &str = r#"{"git_repository":"https://example.com/r.git","name":"CI Pipeline","parallel":true,"stages":[{"command":"pytest","name":"Run tests","timeout":500,"type":"Run"}]}"#;

#[test]
fn a_pipeline_is_created_from_unchanged_json() {
    let served = Served::start(&["--no-embedded-runner"]);
    let created = served
        .run(&["pipeline", "create", "--data", AS_IT_IS, "-o", "json"])
        .json();
    assert_eq!(created["gitRepository"], "https://example.com/r.git");
    assert_eq!(created["name"], "CI Pipeline");
    assert_eq!(created["parallel"], true);
    let stage = &created["stages"][0];
    assert_eq!(stage["name"], "Run tests");
    assert_eq!(stage["command"], "pytest");
    assert_eq!(stage["type"], "TYPE_RUN");
    assert_eq!(stage["timeout"], "500s");
    assert_shown!(served.run(&["pipeline", "get", "CI Pipeline"]).shown());
}

#[test]
fn a_pipeline_lives_from_create_to_delete() {
    let served = Served::start(&["--no-embedded-runner"]);
    let mut transcript = Vec::new();
    let mut record = |arguments: &[&str]| {
        let ran = served.run(arguments);
        transcript.push(format!(
            "$ pipewright {}\n{}",
            arguments.join(" "),
            ran.shown()
        ));
        ran
    };
    record(&["pipeline", "create", "--file", "examples/hello.yaml"]);
    record(&["pipeline", "create", "--file", "examples/hello.yaml"]);
    record(&["pipeline", "list"]);
    record(&["pipeline", "update", "hello", "--data", "{parallel: true}"]);
    record(&[
        "pipeline",
        "update",
        "hello",
        "--data",
        "{parallel: false}",
        "--etag",
        "stale",
    ]);
    record(&[
        "pipeline",
        "update",
        "hello",
        "--data",
        "{name: ''}",
        "--mask",
        "name,id",
    ]);
    record(&["pipeline", "get", "hello", "--revision", "1"]);
    record(&["pipeline", "get", "hello", "--revision", "3"]);
    let job = record(&["pipeline", "trigger", "hello", "-o", "json"]).json();
    let job = job["id"].as_str().unwrap();
    record(&["pipeline", "delete", "hello"]);
    record(&["job", "retry", job]);
    record(&["job", "cancel", job, "--reason", "not needed"]);
    record(&["job", "get", job]);
    record(&["job", "list", "--state", "cancelled"]);
    record(&["pipeline", "delete", "hello"]);
    record(&["pipeline", "get", "hello"]);
    record(&["job", "retry", job]);
    record(&["job", "get", "nonsense"]);
    assert_shown!(transcript.join("\n\n"));
}

#[test]
fn errors_are_reported_as_json() {
    let served = Served::start(&["--no-embedded-runner"]);
    let invalid = r#"{"name":"","stages":[{"name":"a","command":""}]}"#;
    let mut transcript = Vec::new();
    for arguments in [
        &["pipeline", "create", "--data", invalid][..],
        &["pipeline", "get", "unknown"],
        &["job", "get", "01a1fe35-0b5c-717d-8031-3858a9169e00"],
    ] {
        let ran = served.run(&[arguments, &["-o", "json"]].concat());
        transcript.push(ran.shown());
    }
    assert_shown!(transcript.join("\n"));
}

/// The output of `get` can be edited and passed to `update`.
#[test]
fn update_accepts_the_output_of_get() {
    let served = Served::start(&["--no-embedded-runner"]);
    served
        .run(&["pipeline", "create", "--file", "examples/needs.yaml"])
        .ok();
    let mut got = served
        .run(&["pipeline", "get", "needs", "-o", "json"])
        .json();
    got["gitRepository"] = Value::from("https://example.com/r.git");
    got["defaultRef"] = Value::from("main");
    let update = |data: &Value| {
        let data = data.to_string();
        served.run(&["pipeline", "update", "needs", "--data", &data, "-o", "json"])
    };
    let updated = update(&got).json();
    assert_eq!(updated["defaultRef"], "main");
    assert_eq!(updated["stages"], got["stages"]);
    assert_eq!(updated["revision"], "2");
    // The etag in it guards against a change in between.
    got["defaultRef"] = Value::from("other");
    assert_eq!(update(&got).code, Some(5));
}

/// Values are written and never returned.
#[test]
fn only_the_names_of_secret_variables_are_shown() {
    let served = Served::start(&[]);
    let data = "{name: p, secret_variables: {KEY: key-of-pipeline}, \
                stages: [{name: s, command: 'echo $KEY $TOKEN'}]}";
    served.run(&["pipeline", "create", "--data", data]).ok();
    let mut got = served.run(&["pipeline", "get", "p", "-o", "json"]).json();
    assert_eq!(got["secretVariableNames"], serde_json::json!(["KEY"]));
    assert_eq!(got["secretVariables"], Value::Null);
    // Written back, it keeps the values that could not be read.
    got["parallel"] = Value::from(true);
    let updated = served
        .run(&[
            "pipeline",
            "update",
            "p",
            "--data",
            &got.to_string(),
            "-o",
            "json",
        ])
        .json();
    assert_eq!(updated["secretVariableNames"], serde_json::json!(["KEY"]));
    assert!(
        served
            .run(&["pipeline", "get", "p"])
            .ok()
            .contains("Secret variables: KEY")
    );

    let trigger = [
        "pipeline",
        "trigger",
        "p",
        "--watch",
        "--secret-var",
        "TOKEN",
    ];
    let output = served
        .command(&trigger)
        .env("TOKEN", "token-of-trigger")
        .output();
    let ran = Ran::of(output.unwrap());
    assert!(ran.stdout.starts_with("[s] *** ***\n"), "{ran:?}");
    let mut unset = served.command(&trigger);
    let unset = Ran::of(unset.env_remove("TOKEN").output().unwrap());
    assert_eq!(unset.code, Some(2), "{unset:?}");
}

#[test]
fn jobs_are_listed_by_the_name_of_their_pipeline() {
    let served = Served::start(&["--no-embedded-runner"]);
    let id = served.create("one", "true");
    served.create("two", "true");
    let job = served.trigger("one");
    served.trigger("two");
    for pipeline in ["one", &id] {
        let list = ["job", "list", "--pipeline", pipeline, "-o", "json"];
        let list = served.run(&list).json();
        assert_eq!(list["jobs"].as_array().unwrap().len(), 1);
        assert_eq!(list["jobs"][0]["id"], job.as_str());
    }
    let absent = served.run(&["job", "list", "--pipeline", "three"]);
    assert_eq!(absent.code, Some(4));
}

/// A script with an unset variable must not match an arbitrary pipeline.
#[test]
fn an_empty_name_is_refused() {
    let served = Served::start(&["--no-embedded-runner"]);
    served.create("p", "true");
    for command in ["get", "delete", "trigger"] {
        let ran = served.run(&["pipeline", command, ""]);
        assert_eq!(ran.code, Some(2), "{ran:?}");
    }
    served.run(&["pipeline", "get", "p"]).ok();
}

#[test]
fn an_update_changes_the_pipeline_with_its_id() {
    let served = Served::start(&["--no-embedded-runner"]);
    served
        .run(&["pipeline", "create", "--file", "examples/hello.yaml"])
        .ok();
    served.create("other", "true");
    let mut other = served
        .run(&["pipeline", "get", "other", "-o", "json"])
        .json();
    let update = |name: &str, data: &Value| {
        served.run(&[
            "pipeline",
            "update",
            name,
            "--data",
            &data.to_string(),
            "-o",
            "json",
        ])
    };
    assert_eq!(update("hello", &other).code, Some(3));
    // A field that is removed from the complete output is removed from the pipeline.
    let mut hello = served
        .run(&["pipeline", "get", "hello", "-o", "json"])
        .json();
    assert_eq!(hello["variables"]["WHO"], "world");
    hello.as_object_mut().unwrap().remove("variables");
    let updated = update("hello", &hello).json();
    assert_eq!(
        (&updated["variables"], &updated["revision"]),
        (&Value::Null, &"2".into())
    );
    // Without an id it can be used for any pipeline.
    let fields = other.as_object_mut().unwrap();
    for field in ["id", "etag", "name"] {
        fields.remove(field);
    }
    fields.remove("createTime");
    let updated = update("hello", &other).json();
    assert_eq!(updated["stages"], other["stages"]);
    assert_eq!(updated["name"], "hello");
}

#[test]
fn every_violation_is_listed() {
    let served = Served::start(&["--no-embedded-runner"]);
    let data = "{name: ' p', variables: {CI: 'no'}, stages: [{name: 1a, command: x}, \
                {name: b, command: x, needs: [c]}, {name: b, command: '', timeout: 2d}]}";
    let refused = served.run(&["pipeline", "create", "--data", data]);
    assert_eq!(refused.code, Some(3));
    assert_shown!(refused.shown());
}

#[test]
fn a_watched_trigger_shows_the_output_and_ends_as_the_job_does() {
    let served = Served::start(&[]);
    served.create("good", "echo out; echo err >&2");
    served.create("bad", "exit 7");
    assert_shown!(
        served
            .run(&["pipeline", "trigger", "good", "--watch"])
            .shown()
    );
    let bad = served.run(&["pipeline", "trigger", "bad", "--watch"]);
    assert_eq!(bad.code, Some(1));

    // Cancelled by another process.
    let never = served.path("never");
    gate(&never);
    served.create("long", &format!("echo ready; cat {}", never.display()));
    let mut command = served.command(&["pipeline", "trigger", "long", "--watch"]);
    let mut watching = crate::binary::Running::start(&mut command);
    watching.until_stdout("ready");
    let list = served
        .run(&["job", "list", "--state", "running", "-o", "json"])
        .json();
    let job = list["jobs"][0]["id"].as_str().unwrap();
    served.run(&["job", "cancel", job]).ok();
    assert_eq!(watching.finish().code, Some(9));
}

#[test]
fn a_log_is_printed_byte_for_byte() {
    let served = Served::start(&[]);
    served.create("p", r"printf 'a\033[31mred\000\377'; printf end >&2");
    let job = served.trigger("p");
    let log = |more: &[&str]| {
        let mut command = served.command(&["job", "log", &job, "s"]);
        command.args(more).output().unwrap().stdout
    };
    let expected = b"a\x1b[31mred\0\xffend";
    assert_eq!(log(&["--follow"]), expected);
    assert_eq!(log(&["--offset", "-3"]), b"end");
    assert_eq!(log(&["--offset", "6"]), &expected[6..]);
    // The JSON output has the offsets of the bytes.
    let line = String::from_utf8(log(&["--offset", "6", "-o", "json"])).unwrap();
    let message: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(message["chunk"]["offset"], "6");
    assert_eq!(message["chunk"]["data"], "cmVkAP9lbmQ=");
    assert_eq!(message["nextOffset"], expected.len().to_string());
    assert_eq!(served.run(&["job", "log", &job, "nope"]).code, Some(4));
}

#[test]
fn lists_are_paged_or_complete() {
    let served = Served::start(&["--no-embedded-runner"]);
    for number in 0..5 {
        served.create(&format!("p{number}"), "true");
    }
    let names = |ran: Ran| {
        let list = ran.json();
        let pipelines = list["pipelines"].as_array().unwrap().clone();
        pipelines
            .iter()
            .map(|p| p["name"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let list = |more: &[&str]| served.run(&[&["pipeline", "list", "-o", "json"], more].concat());
    assert_eq!(
        names(list(&["--all", "--page-size", "2"])),
        ["p4", "p3", "p2", "p1", "p0"]
    );
    assert_eq!(names(list(&["--limit", "3"])), ["p4", "p3", "p2"]);
    let page = list(&["--page-size", "2", "--limit", "2"]);
    assert_eq!(names(page), ["p4", "p3"]);
}

#[test]
fn an_absent_service_is_reported() {
    let ran = crate::binary::run(&["job", "list", "--server", "127.0.0.1:1"]);
    assert_eq!(ran.code, Some(7));
    assert!(ran.stderr.contains("127.0.0.1:1"), "{ran:?}");
}
