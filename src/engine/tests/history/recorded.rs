//! Histories of the engine itself, from a seed: runners that pause and are late,
//! watchers, and a restart in the middle.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use prost::Message;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};
use uuid::Uuid;

use crate::{
    domain::{ConcurrencyPolicy, JobId, Outcome, StageState, lease::LeaseProof},
    engine::{
        Jobs,
        tests::world::{Runner, SECOND, TTL, World, caller, spec},
    },
    proto::v1::{self, job_event::Change, watch_job_response::Payload},
    store::{LeaseStore, ReadyStage, double::Bug},
};

use super::{Seen, check_history};

const JOBS: usize = 3;
const WATCHERS: u32 = 2;
/// By then all jobs are over, whatever the runners do.
const LONGEST: Duration = Duration::from_secs(3 * 60 * 60);

#[derive(Default)]
struct Record(Mutex<Vec<Seen>>);

impl Record {
    fn add(&self, seen: Seen) {
        self.0.lock().push(seen);
    }

    fn accepted(&self, (stage, proof): &Held) {
        self.add(Seen::Accepted {
            stage: stage.clone(),
            token: proof.token.0,
        });
    }
}

type Held = (String, LeaseProof);

/// What outlives the service: the leases of runners, and the cursors of watchers.
struct Outside {
    runner: Runner,
    held: Mutex<Option<Held>>,
    /// Leases that it held earlier.
    old: Mutex<Vec<Held>>,
}

/// Works on stages, sometimes too slowly, and retries its old leases.
async fn work(outside: Arc<Outside>, runner: Runner, record: Arc<Record>, seed: u64) {
    let mut chance = StdRng::seed_from_u64(seed);
    loop {
        let held = outside.held.lock().clone();
        let Some(held) = held else {
            if let Ok(Some(lease)) = runner.ask(Uuid::new_v4(), TTL).await {
                let stage = format!("{} {}", lease.work.job_id, lease.work.stage_name);
                *outside.held.lock() = Some((stage, lease.proof));
            } else {
                sleep(SECOND).await;
            }
            continue;
        };
        let proof = held.1;
        let accepted = match chance.random_range(0..5) {
            0 => runner
                .complete(proof, Outcome::Succeeded)
                .await
                .map(|()| false),
            1 => runner.append(proof, 0, "x").await.map(|_| true),
            _ => runner.renew(proof).await.map(|_| true),
        };
        if accepted.is_ok() {
            record.accepted(&held);
        }
        if accepted.ok() != Some(true) {
            *outside.held.lock() = None;
            outside.old.lock().push(held);
        }
        let pause = chance.random_range(1_000..50_000);
        sleep(Duration::from_micros(pause * 777)).await;
        let old = outside.old.lock().last().cloned();
        if let Some(old) = old
            && runner.renew(old.1).await.is_ok()
        {
            record.accepted(&old);
        }
    }
}

/// Watches a job from its beginning, or from where an earlier watch of it was cut
/// off.
async fn watch(jobs: Arc<Jobs>, id: JobId, (watcher, job): (u32, u32), record: Arc<Record>) {
    let last_seen = record.0.lock().iter().rev().find_map(|seen| match seen {
        Seen::WatchEnded { watcher: w, job: j } if (*w, *j) == (watcher, job) => Some(None),
        Seen::Event {
            watcher: w,
            job: j,
            sequence,
            ..
        } if (*w, *j) == (watcher, job) => Some(Some(*sequence)),
        _ => None,
    });
    let Some(last_seen) = last_seen.unwrap_or(Some(0)) else {
        return;
    };
    let (_, mut watch) = jobs.watch(&caller(), id, Some(last_seen)).await.unwrap();
    while !watch.is_over() {
        while let Some(message) = watch.take().await.unwrap() {
            for event in events(&message) {
                record.add(Seen::Event {
                    watcher,
                    job,
                    sequence: event.sequence,
                    what: format!("{event:?}"),
                    is_terminal: matches!(event.change, Some(Change::JobEnded(_))),
                });
            }
        }
        if !watch.is_over() {
            watch.changed().await;
        }
    }
    record.add(Seen::WatchEnded { watcher, job });
}

fn events(message: &[u8]) -> Vec<v1::JobEvent> {
    let response = v1::WatchJobResponse::decode(message).unwrap();
    match response.payload {
        Some(Payload::Events(batch)) => batch.events,
        other => panic!("no events: {other:?}"),
    }
}

/// Records which stages run, and whether on a live lease. Returns whether all jobs
/// are over.
async fn observe(world: &World, jobs: &[JobId], since: Instant, record: &Record) -> bool {
    let runners = world.store.list_runners(None, 10).await.unwrap();
    let leases: Vec<_> = runners.iter().flat_map(|runner| &runner.leases).collect();
    let mut are_over = true;
    for id in jobs {
        let job = world.job(*id).await;
        are_over &= job.state.is_terminal();
        for run in &job.stage_runs {
            if run.state == StageState::Running {
                let is_of_run = |stage: ReadyStage| stage.job_id == *id && stage.run == run.key();
                let has_lease = leases
                    .iter()
                    .any(|lease| is_of_run(lease.stage) && lease.is_live(world.now()));
                record.add(Seen::Running {
                    stage: format!("{id} {:?}", run.key()),
                    at: since.elapsed(),
                    has_lease,
                });
            }
        }
    }
    are_over
}

pub(in crate::engine::tests) async fn play(seed: u64, bug: Option<Bug>) -> Result<(), String> {
    let record = Arc::<Record>::default();
    let mut world = World::new().await;
    world.store.plant(bug);
    let mut outside = Vec::new();
    for name in ["first", "second"] {
        let runner = world.runner(name, 1).await;
        let (held, old) = Default::default();
        outside.push(Arc::new(Outside { runner, held, old }));
    }
    let mut jobs = Vec::new();
    for _ in 0..JOBS {
        jobs.push(
            world
                .start(spec(&["a", "b"], ConcurrencyPolicy::Allow))
                .await,
        );
    }
    let since = Instant::now();
    // The service ends while stages run.
    for lasts in [Duration::from_secs(20 + seed), LONGEST] {
        let mut tasks = JoinSet::new();
        for (outside, number) in outside.iter().zip(1..) {
            let runner = outside.runner.at(&world);
            let (outside, record) = (Arc::clone(outside), Arc::clone(&record));
            tasks.spawn(work(outside, runner, record, seed * 100 + number));
        }
        let mut watches = JoinSet::new();
        for (id, job) in jobs.iter().zip(1..) {
            for watcher in 0..WATCHERS {
                let engine = Arc::clone(world.engine.jobs());
                watches.spawn(watch(engine, *id, (watcher, job), Arc::clone(&record)));
            }
        }
        let began = Instant::now();
        while !observe(&world, &jobs, since, &record).await && began.elapsed() < lasts {
            sleep(SECOND).await;
        }
        tasks.shutdown().await;
        sleep(SECOND).await;
        watches.shutdown().await;
        world = world.reopened().await;
        world.store.plant(bug);
    }
    drop(world);
    let seen = record.0.lock().clone();
    let ended = seen
        .iter()
        .filter(|seen| matches!(seen, Seen::WatchEnded { .. }));
    if ended.count() != JOBS * WATCHERS as usize {
        return Err("watches are still open".to_owned());
    }
    check_history(&seen, TTL)
}

#[tokio::test(start_paused = true)]
async fn histories_of_the_engine_are_valid() {
    for seed in 0..16 {
        let checked = play(seed, None).await;
        assert!(checked.is_ok(), "seed {seed}: {checked:?}");
    }
}
