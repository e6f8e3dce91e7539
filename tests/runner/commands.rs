//! Execution and results of a stage's command.

use std::{
    fs,
    time::{Duration, Instant},
};

use pipewright::{domain::Outcome, runner::StageWork};
use secrecy::SecretString;

use crate::{
    processes::living,
    world::{World, text, work, work_with_fifo},
};

#[tokio::test]
async fn output_is_shipped_as_the_bytes_that_were_written() {
    let world = World::isolated();
    let (completion, log) = world
        .run(work(
            r"printf 'a\000\377\n'; printf 'b' >&2; printf '\r\nc'",
        ))
        .await;
    assert_eq!(log, b"a\0\xff\nb\r\nc");
    assert_eq!(completion.outcome, Outcome::Succeeded);
    assert_eq!(completion.exit_code, Some(0));
    assert_eq!(completion.message, "");
    assert_eq!(completion.log_size, 8);
    assert_eq!(completion.commit_id, None);
    world.finish().await;
}

#[tokio::test]
async fn a_large_output_without_lines_arrives_complete() {
    let world = World::isolated();
    let (completion, log) = world
        .run(work("head -c 5000000 /dev/zero | tr '\\0' x"))
        .await;
    assert_eq!(completion.log_size, 5_000_000);
    assert_eq!(log.len(), 5_000_000);
    assert!(log.iter().all(|byte| *byte == b'x'));
    world.finish().await;
}

#[tokio::test]
async fn secrets_are_in_the_environment_and_not_in_what_is_shipped() {
    let world = World::isolated();
    let secret = SecretString::from("hunter2-pass");
    let work = StageWork {
        secret_variables: [("TOKEN".to_owned(), secret)].into(),
        // The end may be the beginning of a secret; it is not lost.
        ..work(r#"echo "$TOKEN $TOKEN" "${#TOKEN}"; printf %s "${TOKEN%ss}""#)
    };
    let (completion, log) = world.run(work).await;
    assert_eq!(text(&log), "*** *** 12\nhunter2-pa");
    assert_eq!(completion.log_size, log.len() as u64);
    world.finish().await;
}

#[tokio::test]
async fn the_shell_stops_at_the_first_error_and_its_status_counts() {
    let world = World::isolated();
    let (completion, log) = world.run(work("echo one\n(exit 3)\necho two")).await;
    assert_eq!(text(&log), "one\n");
    assert_eq!(completion.outcome, Outcome::CommandFailed);
    assert_eq!(completion.exit_code, Some(3));
    assert!(completion.message.starts_with("exited with status 3"));
    world.finish().await;
}

#[tokio::test]
async fn a_program_that_is_missing_or_not_executable_is_named_in_the_log() {
    let world = World::isolated();
    for (command, code, program) in [
        ("no-such-program", 127, "no-such-program"),
        ("touch file; ./file", 126, "./file"),
    ] {
        let (completion, log) = world.run(work(command)).await;
        assert_eq!(completion.outcome, Outcome::CommandFailed);
        assert_eq!(completion.exit_code, Some(code));
        let expected = format!("exited with status {code}");
        assert!(completion.message.starts_with(&expected), "{completion:?}");
        assert!(text(&log).contains(program), "{}", text(&log));
    }
    world.finish().await;
}

#[tokio::test]
async fn a_signal_is_named() {
    let world = World::isolated();
    let (completion, _) = world.run(work("kill -KILL $$")).await;
    assert_eq!(completion.outcome, Outcome::CommandFailed);
    assert_eq!(completion.exit_code, None);
    assert_eq!(completion.message, "killed by signal 9 (SIGKILL)");
    world.finish().await;
}

#[tokio::test]
async fn standard_input_is_empty() {
    let world = World::isolated();
    let (completion, log) = world.run(work("cat; echo end")).await;
    assert_eq!(completion.outcome, Outcome::Succeeded);
    assert_eq!(text(&log), "end\n");
    world.finish().await;
}

#[tokio::test]
async fn a_timeout_ends_even_what_ignores_sigterm() {
    let world = World::isolated();
    let mut stage = work("trap '' TERM; while :; do sleep 1; done");
    stage.timeout = Duration::from_millis(300);
    stage.kill_grace = Duration::from_millis(300);
    let (completion, _) = world.run(stage).await;
    assert_eq!(completion.outcome, Outcome::TimedOut);
    assert_eq!(completion.exit_code, None);
    assert!(
        completion
            .message
            .starts_with("ran longer than its timeout of 300ms")
    );
    world.finish().await;
}

/// A stage with a short grace: if SIGTERM hits a child of the shell between its
/// fork and its exec, the signal is lost and the child lives until the grace is
/// over.
fn tidying(command: &str) -> StageWork {
    StageWork {
        kill_grace: Duration::from_secs(3),
        ..work(command)
    }
}

#[tokio::test]
async fn a_cancelled_command_may_tidy_up() {
    let world = World::isolated();
    let run = world.leases.give(tidying(
        "trap 'echo tidied; exit 0' TERM; echo ready; sleep 1000 >/dev/null 2>&1 & wait",
    ));
    run.logged("ready").await;
    run.0.change(|state| state.cancel = true);
    let (completion, log) = run.done().await;
    assert_eq!(completion.outcome, Outcome::Cancelled);
    assert_eq!(text(&log), "ready\ntidied\n");
    world.finish().await;
}

#[tokio::test]
async fn children_may_tidy_up_after_their_shell_is_gone() {
    let world = World::isolated();
    let child =
        "trap 'sleep 0.2; echo tidied; exit 0' TERM; echo ready; sleep 1000 >/dev/null 2>&1 & wait";
    let run = world
        .leases
        .give(tidying(&format!("sh -c \"{child}\"; echo never")));
    run.logged("ready").await;
    run.0.change(|state| state.cancel = true);
    let (_, log) = run.done().await;
    assert_eq!(text(&log), "ready\ntidied\n");
    world.finish().await;
}

#[tokio::test]
async fn processes_left_in_the_group_are_killed() {
    let world = World::isolated();
    let fifo = world.fifo("held");
    let run = world.leases.give(work_with_fifo(
        "exec 3>\"$FIFO\"; trap '' TERM; sleep 1000 >/dev/null 2>&1 & exit 0",
        &fifo,
    ));
    // Ends when the last process that holds the other end is gone.
    let gone = tokio::fs::read(&fifo).await;
    assert_eq!(gone.unwrap(), b"");
    assert_eq!(run.done().await.0.outcome, Outcome::Succeeded);
    world.finish().await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn an_output_held_open_from_outside_delays_the_end_only_a_little() {
    let world = World::isolated();
    let fifo = world.fifo("go");
    let marker = fifo.to_str().unwrap();
    let run = world
        .leases
        .give(work_with_fifo("echo ready; read go <\"$FIFO\"", &fifo));
    run.logged("ready").await;
    let (pid, _) = living(marker)[0];
    let held = fs::OpenOptions::new()
        .write(true)
        .open(format!("/proc/{pid}/fd/1"))
        .unwrap();
    let started = Instant::now();
    tokio::fs::write(&fifo, "go\n").await.unwrap();
    let (completion, log) = run.done().await;
    assert_eq!(completion.outcome, Outcome::Succeeded);
    assert_eq!(text(&log), "ready\n");
    assert!(started.elapsed() < Duration::from_secs(30));
    drop(held);
    world.finish().await;
}

#[tokio::test]
async fn the_environment_is_a_short_list_and_the_variables() {
    let world = World::isolated();
    let mut stage = work("env; test -d \"$HOME\"; test \"$HOME\" != \"$PWD\"");
    stage.variables = [("GREETING", "hello; $(id) 'x'"), ("CI", "true")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    let (completion, log) = world.run(stage).await;
    assert_eq!(completion.outcome, Outcome::Succeeded);
    let log = text(&log);
    assert!(log.contains("GREETING=hello; $(id) 'x'\n"));
    let jobs = world.dir.path().join("jobs").canonicalize().unwrap();
    assert!(log.contains(&format!("HOME={}", jobs.display())));
    let known = [
        "PATH",
        "LANG",
        "TERM",
        "TZ",
        "HOME",
        "GREETING",
        "CI",
        "PWD",
        "OLDPWD",
        "SHLVL",
        "_",
        "PIPEWRIGHT_PROGRESS",
    ];
    for name in log.lines().filter_map(|line| Some(line.split_once('=')?.0)) {
        assert!(known.contains(&name), "{name} is seen");
    }
    world.finish().await;
}

#[tokio::test]
async fn stages_of_a_job_share_a_workspace_and_others_do_not() {
    let world = World::isolated();
    let first = work("echo kept > file; pwd");
    let mut second = work("cat file");
    second.job_id = first.job_id;
    world.run(first).await;
    assert_eq!(text(&world.run(second).await.1), "kept\n");
    let (other, _) = world.run(work("cat file")).await;
    assert_eq!(other.outcome, Outcome::CommandFailed);
    world.finish().await;
}

#[tokio::test]
async fn a_working_directory_must_be_inside_the_workspace() {
    let world = World::isolated();
    let first = work("mkdir sub; ln -s / link");
    let job_id = first.job_id;
    world.run(first).await;
    let stage = |directory: &str| {
        let mut stage = work("pwd");
        stage.job_id = job_id;
        stage.working_directory = directory.into();
        stage
    };
    let (_, log) = world.run(stage("sub")).await;
    assert!(text(&log).ends_with("/src/sub\n"));
    for outside in ["link", "..", "/etc"] {
        let (completion, log) = world.run(stage(outside)).await;
        assert_eq!(completion.outcome, Outcome::RunnerError);
        assert!(completion.message.contains("leads out of the workspace"));
        assert!(log.is_empty());
    }
    let (completion, _) = world.run(stage("missing")).await;
    assert!(completion.message.contains("'missing': No such file"));
    world.finish().await;
}

#[tokio::test]
async fn in_place_commands_run_as_the_caller_would() {
    let world = World::in_place();
    let mut stage = work("pwd -P; echo $HOME $EXTRA");
    stage.variables = [("EXTRA".to_owned(), "more".to_owned())].into();
    stage.git_repository = "https://127.0.0.1:1/never-asked".into();
    let (completion, log) = world.run(stage).await;
    assert_eq!(completion.outcome, Outcome::Succeeded);
    let directory = world.dir.path().canonicalize().unwrap();
    let home = std::env::var("HOME").unwrap();
    let expected = format!("{}\n{home} more\n", directory.display());
    assert_eq!(text(&log), expected);
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 0);
    world.finish().await;
}

#[tokio::test]
async fn a_command_that_cannot_be_started_is_the_runners_error() {
    let world = World::isolated();
    let mut stage = work("true");
    stage.variables = [("NUL".to_owned(), "a\0b".to_owned())].into();
    let (completion, _) = world.run(stage).await;
    assert_eq!(completion.outcome, Outcome::RunnerError);
    assert!(
        completion
            .message
            .starts_with("could not start the command")
    );
    world.finish().await;
}

/// A command that knew the id of its lease could write under it: all else that takes is the
/// fencing token, which it has.
#[tokio::test]
async fn a_stage_does_not_learn_the_id_of_its_lease() {
    let world = World::isolated();
    let look = r#"
        env
        pwd
        cat "$0"
        for process in self $$ $PPID; do
            tr '\000' '\n' < /proc/$process/cmdline || true
            tr '\000' '\n' < /proc/$process/environ || true
        done
        find "$HOME/.." "${PIPEWRIGHT_PROGRESS%/*}"
        find "$HOME/.." "${PIPEWRIGHT_PROGRESS%/*}" -type f -exec cat {} +
    "#;
    let (completion, log) = world.run(work(look)).await;
    assert_eq!(completion.outcome, Outcome::Succeeded, "{completion:?}");
    let log = text(&log);
    assert!(
        log.contains("PIPEWRIGHT_PROGRESS=") && log.contains(".sh"),
        "{log}"
    );
    let [id] = world.leases.lease_ids()[..] else {
        panic!("one lease was given");
    };
    for id in [id.0.to_string(), id.0.simple().to_string()] {
        assert!(!log.contains(&id), "{id} is in {log}");
    }
    world.finish().await;
}
