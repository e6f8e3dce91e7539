//! `pipewright config`, and the settings of `pipewright serve` from all sources.

use std::{fs, path::PathBuf};

use crate::binary::{Ran, Running, Served, assert_shown, pipewright, run};

/// A settings file in a directory of its own.
struct File {
    _directory: tempfile::TempDir,
    path: PathBuf,
}

impl File {
    fn new(text: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pipewright.toml");
        fs::write(&path, text).unwrap();
        Self {
            _directory: directory,
            path,
        }
    }

    fn path(&self) -> &str {
        self.path.to_str().unwrap()
    }

    /// Runs the binary with this file in the environment.
    fn run(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Ran {
        let mut command = pipewright(arguments);
        command.env("PIPEWRIGHT_CONFIG", &self.path);
        command.envs(variables.iter().copied());
        let mut ran = Ran::of(command.output().unwrap());
        for said in [&mut ran.stdout, &mut ran.stderr] {
            *said = said.replace(self.path(), "pipewright.toml");
        }
        ran
    }
}

#[test]
fn valid_settings_are_accepted() {
    assert_eq!(run(&["config", "check"]).ok(), "ok\n");
    let example = ["config", "check", "--config", "examples/pipewright.toml"];
    assert_eq!(run(&example).ok(), "ok\n");
}

#[test]
fn all_errors_are_listed_by_check_and_by_serve() {
    let file = File::new("workers = 2\n\nmax_conections = 7\n");
    let variables = [("PIPEWRIGHT_DRAIN", "soon"), ("JOB_WORKERS", "none")];
    let flags = ["--listen", "0.0.0.0:0", "--max-headers", "2MiB"];
    let checked = file.run(&[&["config", "check"][..], &flags].concat(), &variables);
    assert_shown!(checked.shown());
    for command in [&["serve"][..], &["config", "show"]] {
        let ran = file.run(&[command, &flags].concat(), &variables);
        assert_eq!(ran.shown(), checked.shown());
    }
}

#[test]
fn flags_override_the_environment_which_overrides_the_file() {
    let file = File::new("max_runners = 1\nmax_active_jobs = 1\nmax_queued_stages = 1\n");
    let variables = [
        ("PIPEWRIGHT_MAX_ACTIVE_JOBS", "2"),
        ("PIPEWRIGHT_MAX_QUEUED_STAGES", "2"),
    ];
    let flags = ["config", "show", "--max-queued-stages", "3"];
    let shown = file.run(&flags, &variables).ok();
    for line in [
        "max_runners = 1 # pipewright.toml:1\n",
        "max_active_jobs = 2 # environment PIPEWRIGHT_MAX_ACTIVE_JOBS\n",
        "max_queued_stages = 3 # --max-queued-stages\n",
        "retain_jobs = 10000 # default\n",
    ] {
        assert!(shown.contains(line), "{line} is not in\n{shown}");
    }
}

#[test]
fn the_file_from_the_flag_overrides_that_from_the_environment() {
    let (one, other) = (File::new("workers = 1"), File::new("nonsense"));
    let shown = other
        .run(&["config", "show", "--config", one.path()], &[])
        .ok();
    assert!(shown.contains("workers = 1"), "{shown}");
}

#[test]
fn a_missing_file_is_reported() {
    let ran = run(&["serve", "--config", "/dev/null/pipewright.toml"]);
    assert_shown!(ran.shown());
}

#[test]
fn a_service_uses_the_settings_of_its_file() {
    let logs = tempfile::tempdir().unwrap();
    let file = File::new(&format!(
        "log_dir = {:?}\nembedded_runner = false\nmax_queued_stages = 5\n",
        logs.path()
    ));
    let served = Served::start(&["--config", file.path()]);
    served.create("p", "true");
    let job = served.trigger("p");
    let got = served.run(&["job", "get", &job, "-o", "json"]).json();
    assert_eq!(got["state"], "STATE_QUEUED");
    drop(served);
    // The output of `config show`, saved as a file, gives the same service.
    let shown = file.run(&["config", "show", "--listen", "127.0.0.1:0"], &[]);
    let saved = File::new(&shown.ok());
    let mut command = pipewright(&["serve", "--config", saved.path()]);
    Running::start(&mut command).until_stderr("listening");
}

#[test]
fn check_reads_the_files_that_a_service_would_need() {
    let directory = tempfile::tempdir().unwrap();
    let credentials = directory.path().join("credentials.toml");
    std::fs::write(&credentials, "[[users]]\nname = 1\n").unwrap();
    let credentials = credentials.to_str().unwrap();
    for command in [
        &["config", "check"][..],
        &["serve", "--listen", "127.0.0.1:0"],
    ] {
        let open = run(&[command, &["--credentials", credentials]].concat());
        assert_eq!(open.code, Some(3), "{open:?}");
        assert!(open.stderr.contains("chmod 600"), "{open:?}");
    }
}
