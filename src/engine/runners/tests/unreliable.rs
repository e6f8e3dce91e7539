//! Runners that crash, pause and lose answers, from a seed.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use proptest::prelude::*;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};
use uuid::Uuid;

use crate::{
    domain::lease::Lease,
    domain::{JobId, Outcome},
};

use super::world::{Runner, SECOND, TTL, World, stage};

/// From when to when a runner worked on a stage.
type Work = (Instant, Instant);

/// What runners did, told by themselves: their work on each stage.
#[derive(Default)]
struct History {
    work: Mutex<BTreeMap<(JobId, String), Vec<Work>>>,
}

/// A runner that may crash, pause or lose an answer at any point; it keeps to the
/// rules: it stops work when its lease may be over.
async fn unreliable(runner: Runner, history: Arc<History>, seed: u64) {
    let mut chance = StdRng::seed_from_u64(seed);
    let mut runner = runner;
    loop {
        let sent = Instant::now();
        let lease = match runner.ask(Uuid::new_v4(), Duration::from_secs(50)).await {
            Ok(Some(lease)) => lease,
            Ok(None) => continue,
            Err(_) => {
                runner.register(2, Some(runner.id)).await;
                continue;
            }
        };
        match chance.random_range(0..10) {
            // Gone before it could confirm.
            0 => sleep(TTL).await,
            1 => runner = runner.restarted().await,
            _ => work(&runner, lease, sent, &history, &mut chance).await,
        }
    }
}

async fn work(
    runner: &Runner,
    lease: Lease,
    sent: Instant,
    history: &History,
    chance: &mut StdRng,
) {
    let mut fence = sent + lease.ttl;
    let start = Instant::now();
    if runner.renew(lease.proof).await.is_err() {
        return;
    }
    fence = fence.max(start + TTL);
    let key = (lease.work.job_id, lease.work.stage_name.clone());
    for _ in 0..chance.random_range(0..8) {
        let pause = [1, 5, 20, 29, 45][chance.random_range(0..5)];
        sleep_until((Instant::now() + Duration::from_secs(pause)).min(fence)).await;
        let now = Instant::now();
        if now >= fence || runner.renew(lease.proof).await.is_err() {
            break;
        }
        fence = now + TTL;
    }
    let end = Instant::now();
    history
        .work
        .lock()
        .entry(key)
        .or_default()
        .push((start, end));
    let outcome = match chance.random_range(0..6) {
        0 => Outcome::CommandFailed,
        1 => Outcome::Returned,
        _ => Outcome::Succeeded,
    };
    let _ = runner.complete(lease.proof, outcome).await;
}

async fn play(seed: u64) {
    let world = World::new().await;
    let history = Arc::new(History::default());
    let mut chance = StdRng::seed_from_u64(seed);
    let mut runners = JoinSet::new();
    for number in 0..3 {
        let runner = world.runner(2).await;
        let history = Arc::clone(&history);
        runners.spawn(unreliable(runner, history, seed ^ (number << 32)));
    }
    let mut jobs = HashSet::new();
    for _ in 0..8 {
        let stages = ["a", "b", "c", "d"].map(stage).to_vec();
        let parallel = chance.random_range(0..2) == 0;
        jobs.insert(world.trigger(stages, parallel).await);
        sleep(Duration::from_secs(chance.random_range(0..20))).await;
    }
    let started = Instant::now();
    let mut ended = BTreeMap::new();
    while ended.len() < jobs.len() {
        assert!(
            started.elapsed().as_secs() < 24 * 3600,
            "seed {seed}: work is lost"
        );
        sleep(SECOND).await;
        for id in &jobs {
            let job = world.job(*id).await;
            if job.state.is_terminal() {
                ended.insert(*id, job);
            }
        }
    }
    runners.shutdown().await;
    for job in ended.values() {
        for run in &job.stage_runs {
            assert!(run.attempt <= 2, "seed {seed}");
        }
    }
    // I4: no two runners ever worked on the same stage at the same time.
    for (stage, times) in history.work.lock().iter_mut() {
        times.sort();
        for two in times.windows(2) {
            assert!(
                two[0].1 <= two[1].0,
                "seed {seed}: {stage:?} ran twice at the same time"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn unreliable_runners_neither_lose_nor_double_work(seed in any::<u64>()) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(play(seed));
    }
}
