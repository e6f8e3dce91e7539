//! `pipewright run`.

use std::fs;

use rustix::process::Signal;

use crate::{
    binary::{Ran, Running, assert_shown, gate, pipewright, run},
    processes::living,
};

#[test]
fn hello_runs_and_shows_each_stage() {
    assert_shown!(run(&["run", "examples/hello.yaml"]).shown());
}

#[test]
fn a_failure_is_reported_and_sets_the_exit_code() {
    assert_shown!(run(&["run", "examples/failing.yaml"]).shown());
}

/// Lines of parallel stages arrive in any order.
fn sorted(shown: &str) -> String {
    let (output, summary) = shown.split_once("\n\n").unwrap();
    let mut lines: Vec<&str> = output.lines().collect();
    lines.sort_unstable();
    format!("{}\n\n{summary}", lines.join("\n"))
}

#[test]
fn lines_of_parallel_stages_have_prefixes() {
    assert_shown!(sorted(
        &run(&["run", "examples/parallel.yaml", "--workers", "3"]).shown()
    ));
}

#[test]
fn needs_and_conditions_show_what_ran() {
    assert_shown!(sorted(&run(&["run", "examples/needs.yaml"]).shown()));
}

#[test]
fn variables_change_what_a_pipeline_does() {
    assert_shown!(sorted(
        &run(&["run", "examples/needs.yaml", "--var", "BROWSER=ok"]).shown()
    ));
}

/// Its value comes from the environment, never from the command line.
#[test]
fn a_secret_variable_is_passed_on_and_masked() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("p.json");
    let command = "printf %s \"$TOKEN\" > seen; echo \"$TOKEN $OTHER\"";
    let pipeline = serde_json::json!({
        "name": "p",
        "stages": [{ "name": "s", "command": command }],
    });
    fs::write(&file, pipeline.to_string()).unwrap();
    let tried = |arguments: &[&str]| {
        let mut command = pipewright(&["run", "p.json"]);
        command.args(arguments).current_dir(directory.path());
        command
            .env("TOKEN", "hunter2-pass")
            .env("OTHER", "not-named");
        crate::binary::Ran::of(command.output().unwrap())
    };
    let ran = tried(&["--secret-var", "TOKEN"]);
    assert!(ran.stdout.starts_with("[s] *** not-named\n"), "{ran:?}");
    let seen = fs::read_to_string(directory.path().join("seen")).unwrap();
    assert_eq!(seen, "hunter2-pass");

    let refused = [
        tried(&["--secret-var", "NO_SUCH_VARIABLE"]),
        tried(&["--secret-var", "TOKEN=hunter2-pass"]),
        tried(&["--secret-var", "TOKEN", "--var", "TOKEN=plain"]),
    ];
    let shown = refused.map(|ran| ran.shown()).join("\n\n");
    assert!(!shown.contains("hunter2"), "{shown}");
    assert_shown!(shown);
}

#[test]
fn commands_run_in_the_callers_directory_and_environment() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("p.yaml");
    let stage = "{ name: s, command: 'pwd; echo $FROM_CALLER; cat note; env | grep -c TOKEN' }";
    fs::write(&file, format!("name: p\nstages: [{stage}]\n")).unwrap();
    fs::write(directory.path().join("note"), "a note\n").unwrap();
    let output = pipewright(&["run", "p.yaml"])
        .current_dir(directory.path())
        .env("FROM_CALLER", "seen")
        .output()
        .unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    let here = directory.path().canonicalize().unwrap();
    let expected = format!("[s] {}\n[s] seen\n[s] a note\n[s] 1\n", here.display());
    // The only token that the command sees is the fencing token of its lease.
    assert!(stdout.starts_with(&expected), "{stdout}");
}

#[test]
fn a_clean_run_starts_in_an_empty_workspace_with_a_short_environment() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("p.json");
    let pipeline = serde_json::json!({
        "name": "p",
        "stages": [{ "name": "s", "command": "ls -A; echo \"-$FROM_CALLER-\"" }],
    });
    fs::write(&file, pipeline.to_string()).unwrap();
    let output = pipewright(&["run", "--clean", "p.json"])
        .current_dir(directory.path())
        .env("FROM_CALLER", "seen")
        .output()
        .unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(stdout.starts_with("[s] --\n"), "{stdout}");
}

#[test]
fn an_interrupt_cancels_the_job_and_ends_its_processes() {
    let directory = tempfile::tempdir().unwrap();
    let never = directory.path().join("never");
    gate(&never);
    let command = format!("echo ready; cat {}", never.display());
    let pipeline = serde_json::json!({
        "name": "p",
        "stages": [{ "name": "s", "command": command }, { "name": "t", "command": "true" }],
    });
    let file = directory.path().join("p.json");
    fs::write(&file, pipeline.to_string()).unwrap();
    let mut running = Running::start(&mut pipewright(&["run", file.to_str().unwrap()]));
    running.until_stdout("ready");
    running.signal(Signal::INT);
    let ran = running.finish();
    assert_eq!(ran.code, Some(130), "{ran:?}");
    assert_eq!(living(never.to_str().unwrap()), []);
    assert_shown!(ran.shown());
}

#[test]
fn a_second_interrupt_kills_commands_that_do_not_end() {
    let directory = tempfile::tempdir().unwrap();
    let command = "trap '' TERM; echo ready; while :; do sleep 0.1 || :; done";
    let pipeline = serde_json::json!({
        "name": "p",
        "stages": [{ "name": "s", "command": command }],
    });
    let file = directory.path().join("p.json");
    fs::write(&file, pipeline.to_string()).unwrap();
    let mut command = pipewright(&["run", file.to_str().unwrap()]);
    let temporary = directory.path().join("tmp");
    fs::create_dir(&temporary).unwrap();
    let mut running = Running::start(command.env("TMPDIR", &temporary));
    running.until_stdout("ready");
    running.signal(Signal::INT);
    running.until_stderr("press Ctrl-C again");
    running.signal(Signal::INT);
    let ran = running.finish();
    assert_eq!(ran.code, Some(130), "{ran:?}");
    while !living(temporary.to_str().unwrap()).is_empty() {
        std::thread::yield_now();
    }
    assert_eq!(
        fs::read_dir(&temporary).unwrap().count(),
        0,
        "nothing is left"
    );
}

#[test]
fn stages_print_in_the_order_in_which_they_ran() {
    let directory = tempfile::tempdir().unwrap();
    let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let stages: Vec<_> = names
        .iter()
        .map(|name| serde_json::json!({ "name": name, "command": "seq 100" }))
        .collect();
    let pipeline = serde_json::json!({ "name": "p", "stages": stages });
    let file = directory.path().join("p.json");
    fs::write(&file, pipeline.to_string()).unwrap();
    let printed = run(&["run", file.to_str().unwrap()]).ok();
    let expected: String = names
        .iter()
        .flat_map(|name| (1..=100).map(move |number| format!("[{name}] {number}\n")))
        .collect();
    assert!(printed.starts_with(&expected), "{printed}");
}

#[test]
fn a_stage_for_another_runner_is_refused_in_a_local_run() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("p.yaml");
    let stage = "{ name: s, command: 'true', runner_labels: { gpu: 'yes' } }";
    fs::write(&file, format!("name: p\nstages: [{stage}]\n")).unwrap();
    assert_shown!(run(&["run", file.to_str().unwrap()]).shown());
}

#[test]
fn errors_of_a_file_have_their_position() {
    let directory = tempfile::tempdir().unwrap();
    let tried = |name: &str, text: &str| {
        fs::write(directory.path().join(name), text).unwrap();
        let mut command = pipewright(&["run", name]);
        let output = command.current_dir(directory.path()).output().unwrap();
        crate::binary::Ran::of(output).shown()
    };
    let shown = [
        tried("syntax.yaml", "name: p\nstages: [\n"),
        tried(
            "field.yaml",
            "name: p\nstages:\n  - nmae: s\n    command: 'true'\n",
        ),
        tried(
            "type.yaml",
            "name: p\nstages:\n  - name: s\n    type: Rum\n    command: 'true'\n",
        ),
        tried(
            "rules.yaml",
            "name: p\nstages:\n  - name: 1s\n    command: 'true'\n    needs: [x]\n",
        ),
    ];
    assert_shown!(shown.join("\n\n"));
    assert_shown!(run(&["run", "no-such-file.yaml"]).shown());
}

/// The example of the repository, with a served repository as its README describes.
#[tokio::test(flavor = "multi_thread")]
async fn the_checkout_example_runs_on_a_served_repository() {
    let directory = tempfile::tempdir().unwrap();
    let git = |arguments: &[&str]| {
        let status = std::process::Command::new("git")
            .args(["-c", "user.name=You", "-c", "user.email=you@example.com"])
            .args(arguments)
            .current_dir(directory.path())
            .status()
            .unwrap();
        assert!(status.success());
    };
    git(&["init", "--quiet", "--initial-branch=main", "hello"]);
    fs::write(
        directory.path().join("hello/greeting.txt"),
        "hello from git\n",
    )
    .unwrap();
    git(&["-C", "hello", "add", "greeting.txt"]);
    git(&["-C", "hello", "commit", "--quiet", "--message", "Say hello"]);
    git(&["clone", "--quiet", "--bare", "hello", "hello.git"]);

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(crate::git_server::serve(
        listener,
        directory.path().to_owned(),
    ));
    let example = fs::read_to_string("examples/checkout.yaml").unwrap();
    let file = directory.path().join("checkout.yaml");
    fs::write(&file, example.replace("127.0.0.1:8000", &address)).unwrap();
    let file = file.to_str().unwrap().to_owned();
    let run = async |arguments: &[&str]| {
        let mut command = pipewright(&["run", "--clean", &file]);
        command.args(arguments);
        let ran = tokio::task::spawn_blocking(move || command.output().unwrap());
        crate::binary::Ran::of(ran.await.unwrap())
    };
    let ran = run(&[]).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stdout.contains("[test] hello from git\n"), "{ran:?}");
    assert!(ran.stdout.contains("[deploy] HELLO FROM GIT\n"), "{ran:?}");

    // A tag takes precedence over a branch; this is reported only if there are both.
    git(&["-C", "hello.git", "tag", "both", "main"]);
    let told = "hides a branch of the same name";
    let only_tag = run(&["--ref", "both"]).await;
    assert_eq!(only_tag.code, Some(0), "{only_tag:?}");
    assert!(!only_tag.stderr.contains(told), "{only_tag:?}");
    git(&["-C", "hello.git", "branch", "both", "main"]);
    for (reference, is_told) in [("both", true), ("refs/heads/both", false), ("main", false)] {
        let ran = run(&["--ref", reference]).await;
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert_eq!(ran.stderr.contains(told), is_told, "{reference}: {ran:?}");
    }
}

/// Runs a pipeline of these commands, one stage each, in fresh directories.
fn clean_run(commands: &[&str], directory: &std::path::Path) -> crate::binary::Ran {
    let stages: Vec<_> = commands
        .iter()
        .enumerate()
        .map(|(index, command)| serde_json::json!({ "name": format!("s{index}"), "command": command }))
        .collect();
    let pipeline = serde_json::json!({ "name": "p", "stages": stages });
    let file = directory.join("p.json");
    fs::write(&file, pipeline.to_string()).unwrap();
    let mut command = pipewright(&["run", "--clean", file.to_str().unwrap()]);
    crate::binary::Ran::of(command.env("TMPDIR", directory).output().unwrap())
}

#[test]
fn a_link_in_the_place_of_a_workspace_is_not_followed() {
    let directory = tempfile::tempdir().unwrap();
    let victim = tempfile::tempdir().unwrap();
    fs::write(victim.path().join("file"), "").unwrap();
    let replace = format!(
        "cd ..; W=$PWD; mv \"$W\" \"$W-moved\"; ln -s {} \"$W\"",
        victim.path().display()
    );
    let ran = clean_run(&[&replace], directory.path());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(victim.path().join("file").exists());
    let warning = "could not remove a directory";
    assert_eq!(ran.stderr.matches(warning).count(), 1, "{ran:?}");
    assert!(
        ran.stderr.contains("something else was put in its place"),
        "{ran:?}"
    );
}

#[test]
fn a_workspace_that_a_stage_removed_moved_or_replaced_is_reported() {
    let directory = tempfile::tempdir().unwrap();
    for (command, told) in [
        (
            "rm -r \"$PWD\"",
            "the workspace of this job does not exist any more",
        ),
        (
            "mv \"$PWD\" ../gone",
            "the workspace of this job does not exist any more",
        ),
        (
            "rm -r ../../*",
            "the workspace of this job does not exist any more",
        ),
        (
            "cd ..; rm -r src; ln -s / src",
            "the workspace of this job was replaced",
        ),
        (
            "cd ..; rm -r src; touch src",
            "the workspace of this job was replaced",
        ),
    ] {
        let ran = clean_run(&[command, "true"], directory.path());
        assert_eq!(ran.code, Some(1), "{ran:?}");
        let shown = format!("{}{}", ran.stdout, ran.stderr);
        assert!(shown.contains(told), "{command}: {shown}");
    }
}

#[test]
fn a_failed_job_sets_the_exit_code_if_its_output_cannot_be_written() {
    let full = || {
        fs::OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .unwrap()
    };
    for (example, code) in [("hello", 2), ("failing", 1)] {
        let file = format!("examples/{example}.yaml");
        let ran = pipewright(&["run", &file]).stdout(full()).output().unwrap();
        let ran = crate::binary::Ran::of(ran);
        assert_eq!(ran.code, Some(code), "{ran:?}");
        assert!(
            ran.stderr.contains("cannot write to standard output"),
            "{ran:?}"
        );
    }
}

#[test]
fn a_directory_that_cannot_be_used_is_no_unavailable_service() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    for temporary in ["/nonexistent".as_ref(), file.as_path()] {
        for arguments in [&["run"][..], &["run", "--clean"]] {
            let mut command = pipewright(arguments);
            command.arg("examples/hello.yaml").env("TMPDIR", temporary);
            let ran = crate::binary::Ran::of(command.output().unwrap());
            assert_eq!(ran.code, Some(2), "{ran:?}");
            let told = format!("the temporary directory (TMPDIR) {}", temporary.display());
            assert!(ran.stderr.contains(&told), "{ran:?}");
        }
    }
    let deleted = directory.path().join("deleted");
    fs::create_dir(&deleted).unwrap();
    let example = fs::canonicalize("examples/hello.yaml").unwrap();
    let ran = std::process::Command::new("sh")
        .args(["-c", "rmdir \"$PWD\"; exec \"$@\"", "sh"])
        .args([env!("CARGO_BIN_EXE_pipewright"), "run"])
        .arg(example)
        .current_dir(deleted)
        .output()
        .unwrap();
    let ran = crate::binary::Ran::of(ran);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.stderr.contains("current directory"), "{ran:?}");
}

#[test]
fn a_secret_that_is_too_short_to_be_masked_is_reported() {
    let mut command = pipewright(&["run", "examples/hello.yaml", "--secret-var", "S"]);
    let short = crate::binary::Ran::of(command.env("S", "abc").output().unwrap());
    let told = "secret variable S has fewer than 4 bytes";
    assert_eq!(short.stderr.matches(told).count(), 1, "{short:?}");
    let long = crate::binary::Ran::of(command.env("S", "abcd").output().unwrap());
    assert!(!long.stderr.contains(told), "{long:?}");
}

/// Without a checkout a ref would be ignored.
#[test]
fn a_ref_without_a_repository_is_refused() {
    let ran = run(&["run", "examples/hello.yaml", "--clean", "--ref", "main"]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(ran.stderr.contains("git_ref: must be empty"), "{ran:?}");
    let ran = run(&["run", "examples/hello.yaml", "--ref", "main"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.stderr.contains("--clean"), "{ran:?}");
}

#[test]
fn a_secret_variable_without_a_value_is_refused() {
    for (value, expected) in [
        (None, "no such environment variable"),
        (Some(""), "is empty"),
    ] {
        let mut command = pipewright(&["run", "examples/hello.yaml", "--secret-var", "TOKEN"]);
        command.env_remove("TOKEN");
        command.envs(value.map(|value| ("TOKEN", value)));
        let ran = Ran::of(command.output().unwrap());
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(ran.stderr.contains(expected), "{ran:?}");
        assert_eq!(ran.stdout, "");
    }
}
