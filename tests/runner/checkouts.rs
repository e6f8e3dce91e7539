//! Checkouts from a real git server on the loopback interface.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use axum::{
    Router,
    extract::{Request, State},
    http::StatusCode,
};
use pipewright::{
    domain::Outcome,
    runner::{Completion, StageWork},
};
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::{
    fake_leases::RunState,
    git_server,
    world::{World, text, work},
};

const HOSTILE_BRANCH: &str = "a\";id>x;\"";

/// A repository with two commits on `main`, a tag on the first, and two branches.
struct Repository {
    root: TempDir,
    first: String,
    second: String,
}

impl Repository {
    fn create() -> Self {
        Self::with_format("sha1")
    }

    fn with_format(format: &str) -> Self {
        let root = TempDir::new().unwrap();
        let path = root.path().join("demo");
        std::fs::create_dir(&path).unwrap();
        let format = format!("--object-format={format}");
        git(
            &path,
            &["init", "--quiet", "--initial-branch=main", &format],
        );
        let first = commit(&path, "one");
        git(&path, &["tag", "--annotate", "--message=v1", "v1"]);
        let second = commit(&path, "two");
        for branch in ["topic", HOSTILE_BRANCH] {
            git(&path, &["checkout", "--quiet", "-b", branch, "main"]);
            commit(&path, branch);
        }
        git(&path, &["checkout", "--quiet", "main"]);
        Self {
            root,
            first,
            second,
        }
    }

    /// Serves it; returns `host:port/path`.
    async fn serve(&self) -> String {
        let (listener, address) = listen().await;
        tokio::spawn(git_server::serve(listener, self.root.path().to_owned()));
        format!("{address}/demo")
    }

    /// Serves it as plain files, like a host without a git server.
    async fn serve_files(&self) -> String {
        git(&self.root.path().join("demo"), &["update-server-info"]);
        let (listener, address) = listen().await;
        let app = Router::new()
            .fallback(file)
            .with_state(self.root.path().to_owned());
        tokio::spawn(async { axum::serve(listener, app).await });
        format!("{address}/demo/.git")
    }
}

async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (listener, address)
}

async fn file(State(root): State<PathBuf>, request: Request) -> Result<Vec<u8>, StatusCode> {
    let path = root.join(request.uri().path().trim_start_matches('/'));
    tokio::fs::read(path)
        .await
        .map_err(|_| StatusCode::NOT_FOUND)
}

fn git(directory: &Path, args: &[&str]) -> String {
    let output = Command::new("git")
        .args(["-c", "user.name=Test", "-c", "user.email=test@example.com"])
        .args(args)
        .current_dir(directory)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .unwrap();
    assert!(output.status.success(), "git {args:?}: {output:?}");
    text(&output.stdout).trim().to_owned()
}

fn commit(directory: &Path, content: &str) -> String {
    std::fs::write(directory.join("file"), content).unwrap();
    git(directory, &["add", "file"]);
    git(directory, &["commit", "--quiet", "--message=change"]);
    git(directory, &["rev-parse", "HEAD"])
}

fn checkout_of(url: &str, git_ref: &str, command: &str) -> StageWork {
    StageWork {
        git_repository: url.into(),
        git_ref: git_ref.into(),
        ..work(command)
    }
}

fn failed(completion: &Completion) -> &str {
    assert_eq!(completion.outcome, Outcome::CheckoutFailed);
    assert_eq!(completion.log_size, 0);
    assert_eq!(completion.commit_id, None);
    &completion.message
}

#[tokio::test]
async fn branches_tags_commits_and_head_are_checked_out() {
    let repository = Repository::create();
    let url = format!("http://{}", repository.serve().await);
    let world = World::isolated();
    for (git_ref, content) in [
        ("", "two"),
        ("main", "two"),
        ("refs/heads/topic", "topic"),
        ("v1", "one"),
        (repository.first.as_str(), "one"),
        (HOSTILE_BRANCH, HOSTILE_BRANCH),
    ] {
        let command = "cat file; echo; ls -A; git rev-list --count HEAD; git rev-parse HEAD; \
                       echo $PIPEWRIGHT_COMMIT_ID";
        let (completion, log) = world.run(checkout_of(&url, git_ref, command)).await;
        assert_eq!(completion.outcome, Outcome::Succeeded, "{git_ref}");
        let commit = completion.commit_id.unwrap();
        let expected = format!("{content}\n.git\nfile\n1\n{commit}\n{commit}\n");
        assert_eq!(text(&log), expected);
    }
    world.finish().await;
}

#[tokio::test]
async fn repositories_with_sha256_are_checked_out() {
    let repository = Repository::with_format("sha256");
    let url = format!("http://{}", repository.serve().await);
    let world = World::isolated();
    for (git_ref, content) in [("main", "two"), (repository.first.as_str(), "one")] {
        let (completion, log) = world.run(checkout_of(&url, git_ref, "cat file")).await;
        assert_eq!(completion.message, "");
        assert_eq!(completion.commit_id.unwrap().len(), 64);
        assert_eq!(text(&log), content);
    }
    world.finish().await;
}

#[tokio::test]
async fn a_fetch_from_a_host_of_plain_files_is_complete() {
    let repository = Repository::create();
    let url = format!("http://{}", repository.serve_files().await);
    let world = World::isolated();
    for (git_ref, content) in [("main", "two"), (repository.first.as_str(), "one")] {
        let (completion, log) = world.run(checkout_of(&url, git_ref, "cat file")).await;
        assert_eq!(completion.message, "");
        assert_eq!(text(&log), content);
    }
    world.finish().await;
}

#[tokio::test]
async fn a_commit_overrides_its_ref_and_the_first_report_wins() {
    let repository = Repository::create();
    let url = format!("http://{}", repository.serve().await);
    let world = World::isolated();

    let mut stage = checkout_of(&url, "topic", "cat file");
    stage.commit_id = repository.first.clone();
    assert_eq!(text(&world.run(stage).await.1), "one");

    let state = RunState {
        commit: Some(repository.first.clone()),
        ..RunState::default()
    };
    let stage = checkout_of(&url, "main", "cat file; echo; git rev-parse HEAD");
    let (completion, log) = world.leases.give_in_state(stage, state).done().await;
    assert_eq!(completion.commit_id, Some(repository.first.clone()));
    assert_eq!(text(&log), format!("one\n{}\n", repository.first));
    world.finish().await;
}

#[tokio::test]
async fn stages_of_a_job_share_one_checkout() {
    let repository = Repository::create();
    let url = format!("http://{}", repository.serve().await);
    let world = World::isolated();
    let stages =
        [0, 1].map(|index| checkout_of(&url, "main", &format!("cat file; touch by-{index}")));
    let job_id = stages[0].job_id;
    let runs = stages.map(|stage| world.leases.give(StageWork { job_id, ..stage }));
    for run in &runs {
        let (completion, log) = run.done().await;
        assert_eq!(completion.commit_id, Some(repository.second.clone()));
        assert_eq!(text(&log), "two");
    }
    let mut last = checkout_of(&url, "main", "ls by-*");
    last.job_id = job_id;
    assert_eq!(text(&world.run(last).await.1), "by-0\nby-1\n");
    world.finish().await;
}

#[tokio::test]
async fn a_failed_checkout_is_retried_by_the_next_stage() {
    let repository = Repository::create();
    let url = format!("http://{}", repository.serve().await);
    let world = World::isolated();
    let first = checkout_of(&url, "later", "cat file");
    let second = first.clone();
    failed(&world.run(first).await.0);
    git(
        &repository.root.path().join("demo"),
        &["branch", "later", "v1"],
    );
    assert_eq!(text(&world.run(second).await.1), "one");
    world.finish().await;
}

#[tokio::test]
async fn checkout_errors_are_reported() {
    let repository = Repository::create();
    let host = repository.serve().await;
    let url = format!("http://me:hunter2@{host}");
    let world = World::isolated();
    let missing = "1234567890".repeat(4);
    for (url, git_ref, expected) in [
        (
            url.as_str(),
            "nosuch",
            "could not check out http://me:***@127.0.0.1",
        ),
        (url.as_str(), missing.as_str(), "ref '1234567890"),
        (&format!("{url}-no"), "main", "repository not found"),
        ("http://127.0.0.1:1/x", "", "host not reachable"),
        (
            "ext::sh -c id",
            "",
            "protocol not allowed; use https, http or ssh",
        ),
        ("file:///etc", "", "protocol not allowed"),
        ("/etc", "", "could not check out /etc"),
        ("--upload-pack=touch /tmp/x", "", "starts with '-'"),
        (
            url.as_str(),
            "--upload-pack=touch /tmp/x",
            "is not the name of",
        ),
    ] {
        let (completion, _) = world.run(checkout_of(url, git_ref, "echo never")).await;
        let message = failed(&completion);
        assert!(message.contains(expected), "{message}");
        assert!(!message.contains("hunter2"), "{message}");
    }
    world.finish().await;
}

#[tokio::test]
async fn no_credentials_are_left_in_the_workspace() {
    let repository = Repository::create();
    let url = format!("http://me:hunter2@{}", repository.serve().await);
    let world = World::isolated();
    let command = "if grep -rE 'hunter2|127.0.0.1' .; then exit 1; fi; env | grep hunter2 || true";
    let (completion, log) = world.run(checkout_of(&url, "main", command)).await;
    assert_eq!(completion.outcome, Outcome::Succeeded);
    assert_eq!(text(&log), "");
    world.finish().await;
}

#[tokio::test]
async fn the_timeout_covers_the_checkout_and_a_cancel_ends_it() {
    // Both accept connections and never respond.
    let (_silent, timed_out) = listen().await;
    let (listener, cancelled) = listen().await;
    let world = World::isolated();

    let mut stage = checkout_of(&format!("http://{timed_out}/silent"), "main", "echo never");
    stage.timeout = Duration::from_millis(300);
    let (completion, _) = world.run(stage).await;
    assert_eq!(completion.outcome, Outcome::TimedOut);

    let stage = checkout_of(&format!("http://{cancelled}/silent"), "main", "echo never");
    let run = world.leases.give(stage);
    let (_asked, _) = listener.accept().await.unwrap();
    run.0.change(|state| state.cancel = true);
    let (completion, log) = run.done().await;
    assert_eq!(completion.outcome, Outcome::Cancelled);
    assert_eq!(text(&log), "");
    world.finish().await;
}
