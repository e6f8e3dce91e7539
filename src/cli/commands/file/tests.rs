//! Accepted and refused files.

use super::*;
use crate::cli::present::json;

fn read(text: &str) -> String {
    match parse(text, "pipeline.yaml") {
        Ok(file) => json::compact("Pipeline", &v1::Pipeline::from(file)),
        Err(failure) => failure.message().unwrap(),
    }
}

#[test]
fn the_json_of_the_first_users_works_as_it_is() {
    insta::assert_snapshot!(read(
        r#"{"git_repository":"https://example.com/r.git","name":"CI Pipeline","parallel":true,"stages":[{"command":"pytest","name":"Run tests","timeout":500,"type":"Run"}]}"#
    ));
}

#[test]
fn indented_json_works() {
    let text = "{\n\t\"name\": \"a\\/b\",\n\t\"stages\": [\n\t\t{ \"name\": \"t\" }\n\t]\n}\n";
    insta::assert_snapshot!(read(text));
}

#[test]
fn the_short_form() {
    insta::assert_snapshot!(read(
        "
name: short
concurrency: queue
variables: { DEBUG: 1, FLAG: true, VERSION: 1.10 }
stages:
  - name: build
    type: build
    timeout: 8m
    command: |
      make
      make check
  - { name: tell, type: RUN, when: on-failure, command: ./tell, timeout: 1.5 }
"
    ));
}

#[test]
fn the_names_of_the_contract() {
    let snake = "
name: long
git_repository: https://example.com/r.git
default_ref: main
concurrency_policy: CONCURRENCY_POLICY_CANCEL_RUNNING
stages:
  - name: deploy
    type: TYPE_DEPLOY
    timeout: 500s
    needs: [build]
    run_condition: RUN_CONDITION_ALWAYS
    runner_labels: { os: linux }
    working_directory: web
";
    let camel = snake
        .replace("git_repository", "gitRepository")
        .replace("default_ref", "defaultRef")
        .replace("concurrency_policy", "concurrencyPolicy")
        .replace("run_condition", "runCondition")
        .replace("runner_labels", "runnerLabels")
        .replace("working_directory", "workingDirectory");
    insta::assert_snapshot!(read(snake));
    assert_eq!(read(snake), read(&camel));
}

#[test]
fn what_get_prints_can_be_sent_back() {
    let stored = v1::Pipeline {
        id: "0190b2f0-0000-7000-8000-000000000001".into(),
        name: "ci".into(),
        parallel: true,
        stages: vec![v1::Stage {
            name: "test".into(),
            timeout: Some(prost_types::Duration {
                seconds: 5,
                nanos: 0,
            }),
            action: Some(v1::stage::Action::Command("true".into())),
            ..Default::default()
        }],
        revision: 3,
        etag: "e3".into(),
        create_time: Some(prost_types::Timestamp::default()),
        update_time: Some(prost_types::Timestamp::default()),
        creator: "anonymous".into(),
        ..Default::default()
    };
    let file = parse(&json::pretty("Pipeline", &stored), "-").unwrap();
    // The output is the whole pipeline: a missing field was removed.
    assert_eq!(file.mask(), ["*"]);
    let sent = v1::Pipeline::from(file);
    let unset = v1::Pipeline {
        id: String::new(),
        revision: 0,
        create_time: None,
        update_time: None,
        creator: String::new(),
        ..stored
    };
    assert_eq!(sent, unset);
}

#[test]
fn a_field_set_to_its_default_is_in_the_mask() {
    let file = parse(r#"{"parallel": false, "variables": {}}"#, "-").unwrap();
    assert_eq!(file.mask(), ["parallel", "variables"]);
}

/// The output has only the names of secrets, which are not sent.
#[test]
fn secrets_can_be_given_and_are_not_read_back() {
    let file = parse("secret_variables: { TOKEN: hunter2-pass, PIN: 1234 }", "-").unwrap();
    assert_eq!(file.mask(), ["secret_variables"]);
    assert!(!format!("{file:?}").contains("hunter2"));
    let sent = v1::Pipeline::from(file).secret_variables;
    assert_eq!((&*sent["TOKEN"], &*sent["PIN"]), ("hunter2-pass", "1234"));

    let stored = v1::Pipeline {
        secret_variable_names: vec!["PIN".into(), "TOKEN".into()],
        create_time: Some(prost_types::Timestamp::default()),
        ..Default::default()
    };
    let file = parse(&json::pretty("Pipeline", &stored), "-").unwrap();
    assert_eq!(v1::Pipeline::from(file), v1::Pipeline::default());
}

/// For all errors, wherever they are: no value is quoted.
#[test]
fn errors_in_a_file_with_secrets_do_not_quote_its_lines() {
    let refused = [
        "secret_variables:\n  TOKEN: hunter2-pass\nstage: []",
        "secretVariables: { TOKEN: [hunter2-pass] }",
        "secret_variables: hunter2-pass",
        "secret_variables:\n  TOKEN: hunter2-pass\n  TOKEN: hunter2-pass",
        "secret_variables:\n  TOKEN: \"hunter2-pass\n",
        "secret_variables:\n  TOKEN: hunter2-pass: x",
        "secret_variables:\n  TOKEN: *hunter2-pass",
        "secret_variables:\n  TOKEN:\n  hunter2-pass",
        "secret_varables:\n  TOKEN: hunter2-pass",
    ];
    let told = refused.map(read).join("\n");
    assert!(!told.contains("hunter2"), "{told}");
    insta::assert_snapshot!(told);
}

#[test]
fn refused_with_the_place_and_what_would_be_right() {
    let refused = [
        "name: a\nstage: []",
        "name: a\nstages:\n  - name: t\n    comand: make",
        "name: a\nstages:\n  - name: t\n    image: alpine",
        "name: a\nstages:\n  - name: t\n    type: Test",
        "name: a\nstages:\n  - name: t\n    when: sometimes",
        "name: a\nconcurrency: one",
        "name: a\nstages:\n  - name: t\n    timeout: soon",
        "name: a\nstages:\n  - name: t\n    timeout: -5",
        "name: a\nstages:\n  - name: t\n    timeout: [5]",
        "name: a\nparallel: perhaps",
        "name: a\nname: b",
        "variables: { A: }",
        "name: a\nstages: build",
        "name: a\nstages:\n  - build",
        "name: a\n\tparallel: true",
        "{\"name\": \"a\", \"stages\": [}",
        "just text",
        "",
        " \n\n",
        "# name: a",
        "---\n# name: a\n",
        "null",
        "name: a\n---\nname: b",
        "name: a\n...\n---\nname: b",
        "name: [a",
        "<<: 1\nname: a",
        "name: *nothing",
        "name: !!binary 0",
        "name: !include other.yaml",
        "parallel: 1",
        "stages: {name: t}",
        "stages:\n  - name: t\n    needs: [1, {a: b}]",
        "? [a]\n: b",
    ];
    let report: Vec<_> = refused
        .iter()
        .map(|text| format!("{text}\n-----\n{}\n", read(text)))
        .collect();
    let report = report.join("\n==========\n");
    // Neither functions and types of the library nor Rust terms.
    for word in [
        "from_", "Option", "Options", "serde", "&str", "::", "struct", "policy;",
    ] {
        assert!(!report.contains(word), "{word} is in\n{report}");
    }
    insta::assert_snapshot!(report);
}

#[test]
fn the_examples_are_pipelines() {
    let examples = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/examples")).unwrap();
    let files = examples.map(|entry| entry.unwrap().path());
    let pipelines: Vec<_> = files
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "yaml")
        })
        .map(|path| parse(&std::fs::read_to_string(path).unwrap(), "example").unwrap())
        .collect();
    assert_eq!(pipelines.len(), 5);
}
