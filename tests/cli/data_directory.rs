//! `pipewright serve --data-dir`, and the commands for a data directory.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::binary::{Ran, Served, pipewright, run};

/// A data directory, and files beside it.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    fn serve(&self, arguments: &[&str]) -> Served {
        let data = self.text("data");
        Served::start(&[&["--data-dir", &data], arguments].concat())
    }

    /// A service with a pipeline `p`, and a job of it that has succeeded.
    fn filled(&self) -> (Served, String) {
        let served = self.serve(&[]);
        served.create("p", "echo hello; echo again");
        let job = served.trigger("p");
        served.run(&["job", "watch", &job]).ok();
        (served, job)
    }

    fn check(&self) -> Ran {
        run(&["store", "check", "--data-dir", &self.text("data")])
    }
}

/// Ends a service as a crash does.
fn kill(mut served: Served) {
    served.process.signal(Signal::KILL);
    served.process.wait();
}

fn jobs(served: &Served) -> Vec<Value> {
    let listed = served.run(&["job", "list", "-o", "json"]).json();
    listed["jobs"].as_array().cloned().unwrap_or_default()
}

#[test]
fn everything_is_there_after_a_stop_and_after_a_crash() {
    let place = Place::new();
    let (served, job) = place.filled();
    assert!(
        served.said.contains("format=1 active_jobs=0 ended_jobs=0"),
        "{}",
        served.said
    );
    let before = jobs(&served);
    assert_eq!(before.len(), 1);
    kill(served);
    for _ in 0..2 {
        let served = place.serve(&[]);
        assert!(
            served.said.contains("active_jobs=0 ended_jobs=1"),
            "{}",
            served.said
        );
        assert_eq!(jobs(&served), before);
        assert_eq!(
            served.run(&["job", "log", &job, "s"]).ok(),
            "hello\nagain\n"
        );
        served.ends_well();
    }
    let served = place.serve(&[]);
    let next = served.trigger("p");
    served.run(&["job", "watch", &next]).ok();
    assert_eq!(jobs(&served)[0]["number"], "2");
    served.ends_well();
    let checked = place.check();
    assert!(checked.stdout.contains("2 ended jobs"), "{checked:?}");
    assert!(checked.ok().ends_with("; no problems\n"));
}

#[test]
fn a_service_without_a_data_directory_says_what_that_means() {
    let served = Served::start(&[]);
    assert!(
        served
            .said
            .contains("ends with this process; set data_dir to keep it"),
        "{}",
        served.said
    );
    served.ends_well();
}

#[test]
fn a_second_service_on_the_same_directory_is_refused() {
    let place = Place::new();
    let served = place.serve(&[]);
    let data = place.text("data");
    let second = run(&["serve", "--listen", "127.0.0.1:0", "--data-dir", &data]);
    assert_eq!(second.code, Some(5), "{second:?}");
    assert!(
        second
            .stderr
            .contains("another process uses the data directory"),
        "{second:?}"
    );
    let checked = place.check();
    assert_eq!(checked.code, Some(5), "{checked:?}");
    served.ends_well();
}

#[test]
fn a_running_service_is_backed_up_and_the_backup_restored() {
    let place = Place::new();
    let (served, job) = place.filled();
    let before = jobs(&served);
    let (data, backup, other) = (
        place.text("data"),
        place.text("backup"),
        place.text("other"),
    );
    let create = ["backup", "create", &backup, "--data-dir", &data];
    assert!(run(&create).ok().starts_with("backed up "));
    served.trigger("p");
    served.ends_well();

    let again = run(&create);
    assert_eq!(again.code, Some(5), "{again:?}");
    let restore = ["backup", "restore", &backup, "--data-dir", &other];
    assert!(run(&restore).ok().starts_with("restored "));
    assert_eq!(run(&restore).code, Some(5));
    run(&["store", "check", "--data-dir", &other]).ok();

    let restored = Served::start(&["--data-dir", &other]);
    assert_eq!(jobs(&restored), before);
    assert_eq!(
        restored.run(&["job", "log", &job, "s"]).ok(),
        "hello\nagain\n"
    );
    restored.ends_well();
}

#[test]
fn a_damaged_backup_is_not_restored() {
    let place = Place::new();
    let (served, _) = place.filled();
    let (data, backup, other) = (
        place.text("data"),
        place.text("backup"),
        place.text("other"),
    );
    run(&["backup", "create", &backup, "--data-dir", &data]).ok();
    served.ends_well();
    let restore = ["backup", "restore", &backup, "--data-dir", &other];
    let database = Path::new(&backup).join("store.db");
    let content = fs::read(&database).unwrap();

    fs::write(&database, &content[1..]).unwrap();
    let refused = run(&restore);
    assert_eq!(refused.code, Some(3), "{refused:?}");
    assert!(
        refused
            .stderr
            .contains("store.db is not the file that was backed up"),
        "{refused:?}"
    );

    fs::remove_dir_all(&other).unwrap();
    fs::remove_file(Path::new(&backup).join("manifest.json")).unwrap();
    let refused = run(&restore);
    assert_eq!(refused.code, Some(4), "{refused:?}");
    let refused = run(&[
        "backup",
        "create",
        &other,
        "--data-dir",
        &place.text("nothing"),
    ]);
    assert_eq!(refused.code, Some(4), "{refused:?}");
}

#[test]
fn a_check_reports_what_is_damaged() {
    let place = Place::new();
    let (served, job) = place.filled();
    served.ends_well();
    let database = rusqlite::Connection::open(place.path("data/store.db")).unwrap();
    let removed = database
        .execute("DELETE FROM event WHERE sequence = 2", [])
        .unwrap();
    assert_eq!(removed, 1);
    drop(database);
    let checked = place.check();
    assert_eq!(checked.code, Some(3), "{checked:?}");
    let expected = format!("job {job}: an event is missing");
    assert!(checked.stdout.contains(&expected), "{checked:?}");
    let data = place.text("data");
    let json = run(&["store", "check", "--data-dir", &data, "-o", "json"]);
    let json: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(json["problems"], serde_json::json!([expected]));
}

#[test]
fn secrets_need_a_key_and_their_key() {
    let place = Place::new();
    let served = place.serve(&[]);
    let secret = |served: &Served| {
        let mut command = served.command(&["pipeline", "trigger", "p", "--secret-var", "TOKEN"]);
        command.env("TOKEN", "hunter2-pass");
        Ran::of(command.output().unwrap())
    };
    served.create("p", "test \"$TOKEN\" = hunter2-pass");
    let refused = secret(&served);
    assert_eq!(refused.code, Some(5), "{refused:?}");
    assert!(
        refused
            .stderr
            .contains("pipewright key generate --out FILE"),
        "{refused:?}"
    );
    served.ends_well();

    let key = place.text("encryption.keys");
    run(&["key", "generate", "--out", &key]).ok();
    let served = place.serve(&["--encryption-key-file", &key]);
    assert_eq!(secret(&served).code, Some(0));
    served.ends_well();

    let data = place.text("data");
    let refused = run(&["serve", "--listen", "127.0.0.1:0", "--data-dir", &data]);
    assert_eq!(refused.code, Some(3), "{refused:?}");
    assert!(
        refused.stderr.contains("--encryption-key-file FILE"),
        "{refused:?}"
    );
    place.check().ok();
}

#[test]
fn a_rotation_replaces_the_key_in_the_file_and_in_the_directory() {
    let place = Place::new();
    let (key, old, data) = (
        place.text("encryption.keys"),
        place.text("old.keys"),
        place.text("data"),
    );
    run(&["key", "generate", "--out", &key]).ok();
    let rotate = [
        "key",
        "rotate",
        "--data-dir",
        &data,
        "--encryption-key-file",
        &key,
    ];
    assert_eq!(run(&rotate).code, Some(4));
    let served = place.serve(&["--encryption-key-file", &key]);
    let in_use = run(&rotate);
    assert_eq!(in_use.code, Some(5), "{in_use:?}");
    served.create("p", "test \"$TOKEN\" = hunter2-pass");
    let mut command = served.command(&["pipeline", "trigger", "p", "--secret-var", "TOKEN"]);
    command.env("TOKEN", "hunter2-pass");
    Ran::of(command.output().unwrap()).ok();
    served.ends_well();

    fs::copy(&key, &old).unwrap();
    let rotated = run(&rotate).ok();
    assert!(
        rotated.contains("1 data keys were encrypted again"),
        "{rotated}"
    );
    assert_ne!(fs::read(&key).unwrap(), fs::read(&old).unwrap());
    let mut refused = pipewright(&["serve", "--listen", "127.0.0.1:0", "--data-dir", &data]);
    let refused = Ran::of(
        refused
            .args(["--encryption-key-file", &old])
            .output()
            .unwrap(),
    );
    assert_eq!(refused.code, Some(3), "{refused:?}");
    let served = place.serve(&["--encryption-key-file", &key]);
    let newest = jobs(&served)[0]["id"].as_str().unwrap().to_owned();
    served.run(&["job", "watch", &newest]).ok();
    served.ends_well();
}

/// Copies a directory with all that is in it.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// The directory was written by the first version that had one; see CONTRIBUTING.md.
#[test]
fn a_data_directory_of_the_first_format_is_opened() {
    let place = Place::new();
    copy(Path::new("tests/fixtures/data-directory-1"), place.0.path());
    let key = place.text("encryption.keys");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    place.check().ok();
    let served = place.serve(&["--encryption-key-file", &key]);
    assert!(
        served.said.contains("active_jobs=1 ended_jobs=3"),
        "{}",
        served.said
    );
    let states = |jobs: &[Value]| -> Vec<String> {
        let state = |job: &Value| job["state"].as_str().unwrap().to_owned();
        jobs.iter().map(state).collect()
    };
    let before = jobs(&served);
    let expected = [
        "STATE_QUEUED",
        "STATE_CANCELLED",
        "STATE_FAILED",
        "STATE_SUCCEEDED",
    ];
    assert_eq!(states(&before), expected);
    let succeeded = before[3]["id"].as_str().unwrap();
    assert_eq!(
        served.run(&["job", "log", succeeded, "s"]).ok(),
        "the password is ***\n"
    );
    let waiting = before[0]["id"].as_str().unwrap();
    served.run(&["job", "cancel", waiting]).ok();
    let projects = served.run(&["project", "list", "-o", "json"]).json();
    let names: Vec<&str> = projects["projects"]
        .as_array()
        .unwrap()
        .iter()
        .map(|project| project["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["default", "shop"]);
    let pipeline = served.run(&["pipeline", "get", "old", "-o", "json"]).json();
    assert_eq!(pipeline["revision"], "2");
    let next = served.trigger("old");
    served.run(&["job", "watch", &next]).ok();
    served.ends_well();
    place.check().ok();
}
