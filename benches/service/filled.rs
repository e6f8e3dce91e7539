//! Data directories with many jobs. They are kept from run to run, on the disk of the build.

use std::{
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path, PathBuf},
    time::Duration,
};

use pipewright::proto::v1;
use rusqlite::Connection;
use tempfile::TempDir;

use crate::{
    clients::{self, ANY_NUMBER_OF_JOBS, Ours, TRIGGER, pipeline},
    load::{self, Pace, Plan, Until},
};

const SCHEMA: &str = include_str!("../../src/store/sqlite/migrations/0001.sql");
const ROOT: &str = env!("CARGO_TARGET_TMPDIR");
const DATABASE: &str = "store.db";
const PIPELINES: usize = 100;
/// Flags with which the service keeps all jobs.
pub(crate) const KEPT: [&str; 2] = ["--retain-jobs", "10000000"];
/// The time since the jobs have ended: longer than any of them is loaded, and shorter than
/// anything is kept.
const AGO: Duration = Duration::from_secs(30 * 60);

/// An empty directory on the same disk.
pub(crate) fn empty() -> TempDir {
    TempDir::new_in(ROOT).unwrap()
}

/// The data directory of a service with this many jobs, of [`PIPELINES`] pipelines.
pub(crate) async fn directory(ended: u64, active: u64) -> PathBuf {
    let schema = root();
    let ended_only = schema.join(format!("{ended}-0"));
    if !ended_only.exists() {
        let new = TempDir::new_in(&schema).unwrap();
        fill(new.path(), v1::ConcurrencyPolicy::CancelRunning, ended).await;
        age(new.path());
        fs::rename(new.keep(), &ended_only).unwrap();
    }
    if active == 0 {
        return ended_only;
    }
    let both = schema.join(format!("{ended}-{active}"));
    if !both.exists() {
        let new = TempDir::new_in(&schema).unwrap();
        checkpoint(&ended_only);
        fs::copy(ended_only.join(DATABASE), new.path().join(DATABASE)).unwrap();
        fill(new.path(), v1::ConcurrencyPolicy::Allow, active).await;
        checkpoint(new.path());
        fs::rename(new.keep(), &both).unwrap();
    }
    both
}

/// Where the directories of this schema are. Those of others are removed.
fn root() -> PathBuf {
    let mut hasher = DefaultHasher::new();
    SCHEMA.hash(&mut hasher);
    let parent = Path::new(ROOT).join("filled");
    let root = parent.join(format!("{:016x}", hasher.finish()));
    if !root.exists() {
        if parent.exists() {
            fs::remove_dir_all(&parent).unwrap();
        }
        fs::create_dir_all(&root).unwrap();
    }
    root
}

/// Triggers jobs. If each cancels the one before, it has ended at once.
async fn fill(directory: &Path, policy: v1::ConcurrencyPolicy, jobs: u64) {
    eprintln!("filling a data directory with {jobs} jobs");
    let directory = ["--data-dir", directory.to_str().unwrap()];
    let flags = [ANY_NUMBER_OF_JOBS.as_slice(), &KEPT, &directory].concat();
    let ours = Ours::open(&flags);
    let mut messages = Vec::new();
    for number in 0..PIPELINES {
        let mut pipeline = pipeline(&format!("{}-{number}", policy.as_str_name()));
        pipeline.set_concurrency_policy(policy);
        messages.push(clients::trigger(&ours.create(pipeline).await));
    }
    load::run(&Plan {
        address: ours.server.address,
        path: TRIGGER.to_owned(),
        authorization: None,
        messages,
        connections: 4,
        pace: Pace::Closed {
            streams_per_connection: 16,
        },
        until: Until::Calls(jobs),
    });
}

/// Moves the ends of all jobs into the past, where they are looked up by them.
fn age(directory: &Path) {
    let database = Connection::open(directory.join(DATABASE)).unwrap();
    let nanos = i64::try_from(AGO.as_nanos()).unwrap();
    for sql in [
        "UPDATE ended_job SET end_time = end_time - ?",
        "UPDATE facts SET end_time = end_time - ?",
    ] {
        database.execute(sql, [nanos]).unwrap();
    }
}

/// Puts all of the WAL into the database, as the last connection does when it is closed.
fn checkpoint(directory: &Path) {
    let database = Connection::open(directory.join(DATABASE)).unwrap();
    let count = "SELECT count(*) FROM pipeline";
    let _: i64 = database.query_row(count, [], |row| row.get(0)).unwrap();
}
