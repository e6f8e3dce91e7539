//! The flat commands for scripts: JSON in, JSON out.

use serde_json::{Value, json};

use crate::binary::{Ran, Served};

/// Runs a command like a script, with a name and a password.
fn flat(served: &Served, command: &str, options: &[&str]) -> Ran {
    let credentials = ["--username", "ada", "--password", "correct horse"];
    served.run(&[&[command], &credentials[..], options].concat())
}

fn error(ran: &Ran) -> Value {
    assert_eq!(ran.stdout, "", "{ran:?}");
    let line = ran.stderr.lines().last().unwrap();
    let mut error: Value = serde_json::from_str(line).unwrap();
    error["error"].take()
}

#[test]
fn a_script_manages_a_pipeline_from_create_to_delete() {
    let served = Served::start(&["--no-embedded-runner"]);
    let data = r#"{"git_repository":"https://example.com/r.git","name":"CI Pipeline","parallel":true,"stages":[{"command":"pytest","name":"Run tests","timeout":500,"type":"Run"}]}"#;
    let created = flat(&served, "create-pipeline", &["--data", data]).json();
    let id = created["id"].as_str().unwrap();
    assert_eq!(
        created,
        json!({ "id": id, "message": "the pipeline was created" })
    );
    let by_id = ["--pipeline-id", id];

    let got = flat(&served, "get-pipeline", &by_id).json();
    let mut expected: Value = serde_json::from_str(data).unwrap();
    expected["id"] = id.into();
    expected["project"] = "default".into();
    assert_eq!(got, expected);

    // `update` accepts the output of `get`, or a part of it.
    let whole = got.to_string();
    for data in [&whole, r#"{"parallel": false}"#] {
        let options = [&by_id[..], &["--data", data]].concat();
        let updated = flat(&served, "update-pipeline", &options).json();
        assert_eq!(
            updated,
            json!({ "id": id, "message": "the pipeline was updated" })
        );
    }
    expected["parallel"] = false.into();
    let by_name = ["--pipeline-id", "CI Pipeline", "--project", "default"];
    assert_eq!(flat(&served, "get-pipeline", &by_name).json(), expected);

    let options = [
        &by_id[..],
        &["--data", r#"{"git_ref": "main", "variables": {"A": "1"}}"#],
    ];
    for options in [&by_id[..], &options.concat()] {
        let triggered = flat(&served, "trigger-pipeline", options).json();
        assert_eq!(triggered["id"], id);
        assert_eq!(triggered["message"], "the job was started");
        let job = triggered["job_id"].as_str().unwrap();
        served.run(&["job", "cancel", job]).ok();
    }

    let deleted = flat(&served, "delete-pipeline", &by_id).json();
    assert_eq!(
        deleted,
        json!({ "id": id, "message": "the pipeline was deleted" })
    );
    let gone = flat(&served, "get-pipeline", &by_id);
    assert_eq!(gone.code, Some(4));
    assert_eq!(error(&gone)["reason"], "PIPELINE_NOT_FOUND");
}

/// From the service, from this program and from the command line parser.
#[test]
fn errors_are_json_with_the_usual_exit_codes() {
    let served = Served::start(&["--no-embedded-runner"]);
    served.create("p", "true");
    let id = "0190b2f0-0000-7000-8000-000000000001";
    let cases: [(&str, &[&str], i32, &str, &str); 12] = [
        (
            "create-pipeline",
            &["--data", "{"],
            3,
            "INVALID_ARGUMENT",
            "INPUT_INVALID",
        ),
        (
            "create-pipeline",
            &["--data", "{}"],
            3,
            "INVALID_ARGUMENT",
            "INVALID_FIELDS",
        ),
        ("create-pipeline", &[], 2, "INVALID_ARGUMENT", "USAGE"),
        (
            "create-pipeline",
            &["--data", "{}", "--nonsense"],
            2,
            "INVALID_ARGUMENT",
            "USAGE",
        ),
        ("get-pipeline", &[], 2, "INVALID_ARGUMENT", "USAGE"),
        (
            "get-pipeline",
            &["--pipeline-id", id],
            4,
            "NOT_FOUND",
            "PIPELINE_NOT_FOUND",
        ),
        (
            "get-pipeline",
            &["--pipeline-id", "q"],
            4,
            "NOT_FOUND",
            "PIPELINE_NOT_FOUND",
        ),
        (
            "update-pipeline",
            &["--pipeline-id", "p"],
            2,
            "INVALID_ARGUMENT",
            "USAGE",
        ),
        (
            "update-pipeline",
            &["--pipeline-id", "p", "--data", "{name: ''}"],
            3,
            "INVALID_ARGUMENT",
            "INVALID_FIELDS",
        ),
        (
            "trigger-pipeline",
            &["--pipeline-id", "p", "--data", "{git_ref: main}"],
            3,
            "INVALID_ARGUMENT",
            "INVALID_FIELDS",
        ),
        (
            "trigger-pipeline",
            &["--pipeline-id", "p", "--data", "{gti_ref: main}"],
            3,
            "INVALID_ARGUMENT",
            "INPUT_INVALID",
        ),
        (
            "delete-pipeline",
            &["--pipeline-id", "q"],
            4,
            "NOT_FOUND",
            "PIPELINE_NOT_FOUND",
        ),
    ];
    for (command, options, exit, code, reason) in cases {
        let ran = flat(&served, command, options);
        assert_eq!(ran.code, Some(exit), "{command} {options:?}: {ran:?}");
        let error = error(&ran);
        assert_eq!(error["code"], code, "{command} {options:?}: {error}");
        assert_eq!(error["reason"], reason, "{command} {options:?}: {error}");
        assert_ne!(error["message"], "", "{command} {options:?}: {error}");
    }
}
