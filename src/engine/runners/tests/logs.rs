//! A stage ends whatever becomes of its log, and its end says what is missing.

use std::{fs, io, ops::Range, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};

use crate::{
    blobs::logs::{AppendError, FileLogs, GapReason, Kept, LogKey, LogRead, LogStore, WriteTime},
    domain::{
        JobId, LogLoss, LogSummary, Outcome, StageState,
        lease::{Completion, LeaseProof, LogAppend},
    },
    engine::{LeaseError, Leases, LogPiece, LogRequest},
    store::MemoryStore,
};

use super::world::{SECOND, TTL, World, caller, stage};

/// A store that cannot even say what it has lost.
struct Broken(FileLogs);

fn failed() -> io::Error {
    io::Error::other("the store is broken")
}

#[async_trait]
impl LogStore for Broken {
    async fn append(
        &self,
        key: LogKey,
        offset: u64,
        dropped: u64,
        data: Bytes,
    ) -> Result<Kept, AppendError> {
        if data.is_empty() {
            return Err(failed().into());
        }
        self.0.append(key, offset, dropped, data).await
    }

    async fn read(
        &self,
        key: LogKey,
        offset: u64,
        until: u64,
        limit: usize,
    ) -> io::Result<LogRead> {
        self.0.read(key, offset, until, limit).await
    }

    async fn times(&self, key: LogKey, range: Range<u64>) -> io::Result<Vec<WriteTime>> {
        self.0.times(key, range).await
    }

    fn size(&self, key: LogKey) -> u64 {
        self.0.size(key)
    }

    fn loss(&self, key: LogKey) -> LogLoss {
        self.0.loss(key)
    }

    fn subscribe(&self, key: LogKey) -> watch::Receiver<u64> {
        self.0.subscribe(key)
    }

    async fn sync(&self, _: LogKey) -> io::Result<Kept> {
        Err(failed())
    }

    async fn close(&self, key: LogKey) {
        self.0.close(key).await;
    }

    async fn remove(&self, job_id: JobId) -> io::Result<()> {
        self.0.remove(job_id).await
    }

    async fn jobs(&self) -> io::Result<Vec<JobId>> {
        self.0.jobs().await
    }

    fn stored(&self) -> u64 {
        self.0.stored()
    }
}

async fn append(world: &World, proof: LeaseProof, offset: u64, data: &'static [u8]) -> u64 {
    let append = LogAppend {
        offset,
        dropped: 0,
        data: Bytes::from_static(data),
    };
    let appended = world.leases().append_log(proof, append).await;
    appended.unwrap().committed
}

async fn complete(
    world: &World,
    proof: LeaseProof,
    log_size: u64,
    log_incomplete: bool,
) -> Result<(), LeaseError> {
    let completion = Completion {
        outcome: Outcome::Succeeded,
        exit_code: Some(0),
        message: String::new(),
        log_size,
        log_incomplete,
        commit_id: None,
    };
    world.leases().complete(proof, completion).await
}

async fn ended(world: &World, job: JobId) -> (StageState, LogSummary) {
    let job = world.job(job).await;
    (job.stage_runs[0].state, job.stage_runs[0].log)
}

/// What a reader gets of the first attempt.
async fn read(world: &World, job_id: JobId) -> Vec<LogPiece> {
    let request = LogRequest {
        job_id,
        stage_name: "s".to_owned(),
        attempt: Some(1),
        offset: 0,
        limit: None,
        follow: false,
    };
    let mut log = world
        .engine
        .jobs()
        .open_log(&caller(), request)
        .await
        .unwrap();
    let mut pieces = Vec::new();
    while !matches!(pieces.last(), Some(LogPiece::End(_))) {
        pieces.push(log.next().await.unwrap());
    }
    pieces
}

#[tokio::test(start_paused = true)]
async fn a_log_that_cannot_be_made_safe_does_not_keep_its_stage_from_ending() {
    let (logs, directory) = World::logs();
    let world = World::with_logs(
        Arc::new(MemoryStore::default()),
        Arc::new(Broken(logs)),
        directory,
    );
    let world = world.await;
    let runner = world.runner(1).await;
    for (sent, is_incomplete) in [(3, false), (9, true)] {
        let job = world.trigger(vec![stage("s")], false).await;
        let lease = runner.started(SECOND).await;
        assert_eq!(append(&world, lease.proof, 0, b"abc").await, 3);
        let began = Instant::now();
        complete(&world, lease.proof, sent, is_incomplete)
            .await
            .unwrap();
        assert_eq!(began.elapsed().as_secs(), 0);
        assert_eq!(ended(&world, job).await, (StageState::Succeeded, 3.into()));
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_stored_is_a_gap_and_the_stage_ends_at_once() {
    let world = World::new().await;
    let runner = world.runner(1).await;
    let job = world.trigger(vec![stage("s")], false).await;
    let lease = runner.started(SECOND).await;
    assert_eq!(append(&world, lease.proof, 0, b"abc").await, 3);
    // No disk takes anything into a file. What was stored is gone, too.
    fs::remove_dir_all(world.log_directory()).unwrap();
    fs::write(world.log_directory(), "").unwrap();
    let began = Instant::now();
    assert_eq!(append(&world, lease.proof, 3, b"defgh").await, 8);
    let live = world.engine.jobs().get(&caller(), job).await.unwrap();
    assert_eq!(live.stages[0].log.loss.not_stored, 5);
    complete(&world, lease.proof, 8, false).await.unwrap();
    assert_eq!(began.elapsed().as_secs(), 0);
    let loss = LogLoss {
        not_stored: 8,
        ..LogLoss::default()
    };
    let log = LogSummary { size: 8, loss };
    assert_eq!(ended(&world, job).await, (StageState::Succeeded, log));
    let gap = LogPiece::Gap(0..8, GapReason::NotStored);
    assert_eq!(read(&world, job).await, [gap, LogPiece::End(8)]);
    fs::remove_file(world.log_directory()).unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_a_runner_gives_up_sending_is_a_gap_too() {
    let world = World::new().await;
    let runner = world.runner(1).await;
    let job = world.trigger(vec![stage("s")], false).await;
    let lease = runner.started(SECOND).await;
    append(&world, lease.proof, 0, b"abc").await;
    let short = complete(&world, lease.proof, 9, false).await;
    assert!(matches!(short, Err(LeaseError::Hole { committed: 3 })));
    complete(&world, lease.proof, 9, true).await.unwrap();
    let loss = LogLoss {
        runner_dropped: 6,
        ..LogLoss::default()
    };
    let log = LogSummary { size: 9, loss };
    assert_eq!(ended(&world, job).await, (StageState::Succeeded, log));
    let expected = [
        LogPiece::Chunk(0, Bytes::from_static(b"abc")),
        LogPiece::Gap(3..9, GapReason::RunnerDropped),
        LogPiece::End(9),
    ];
    assert_eq!(read(&world, job).await, expected);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_lost_stage_says_what_is_missing() {
    let world = World::new().await;
    let runner = world.runner(1).await;
    let job = world.trigger(vec![stage("s")], false).await;
    let lease = runner.started(SECOND).await;
    append(&world, lease.proof, 0, b"abc").await;
    fs::remove_dir_all(world.log_directory()).unwrap();
    sleep(TTL + 5 * SECOND).await;
    let (state, log) = ended(&world, job).await;
    assert_eq!(
        (state, log.size, log.loss.not_stored),
        (StageState::Failed, 3, 3)
    );
}
