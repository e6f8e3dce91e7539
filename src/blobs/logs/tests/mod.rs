//! Tests of logs as files; those for every log store are in `conformance`.

mod faults;
mod files;
mod held;
mod lost;
mod readers;
mod times;

use std::{fs, path::Path, sync::Arc};

use tempfile::TempDir;

use super::{
    Durability, FileLogs, LogLimits, LogStore,
    conformance::{Reopen, World},
    directory::RunDirectory,
    disk::{Disk, RealDisk},
    layout::Layout,
    log::Log,
};
use crate::domain::RunKey;

const UNLIMITED: LogLimits = LogLimits {
    of_a_log: u64::MAX,
    in_total: u64::MAX,
};

const RUN: RunKey = RunKey {
    stage: 0,
    attempt: 1,
};

/// Reopens logs in one directory.
struct Files {
    directory: Arc<TempDir>,
    durability: Durability,
    disk: Arc<dyn Disk>,
}

impl Files {
    fn new(durability: Durability) -> Self {
        Self::on(Arc::new(RealDisk), durability)
    }

    fn on(disk: Arc<dyn Disk>, durability: Durability) -> Self {
        Self {
            directory: Arc::new(tempfile::tempdir().unwrap()),
            durability,
            disk,
        }
    }
}

impl Reopen for Files {
    fn open(&self, limits: LogLimits) -> Arc<dyn LogStore> {
        let root = self.directory.path().to_owned();
        let disk = Arc::clone(&self.disk);
        Arc::new(FileLogs::open_on(disk, root, limits, self.durability).unwrap())
    }
}

/// A world of synced logs, and their directory.
fn world(of_a_log: u64) -> (World, Arc<TempDir>) {
    let files = Files::new(Durability::Disk);
    let directory = Arc::clone(&files.directory);
    (World::with(Box::new(files), of_a_log), directory)
}

/// One log without a store.
fn log(limit: u64) -> (TempDir, Log) {
    let directory = tempfile::tempdir().unwrap();
    let of_run = super::tests::directory(directory.path());
    let log = Log::new(of_run, Layout::new(limit), Arc::default());
    (directory, log)
}

fn directory(job: &Path) -> RunDirectory {
    RunDirectory::new(job, RUN, Arc::new(RealDisk))
}

/// Names and lengths of the files in a directory.
fn files(directory: &Path) -> Vec<(String, u64)> {
    let mut files: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            (name, entry.metadata().unwrap().len())
        })
        .collect();
    files.sort();
    files
}
