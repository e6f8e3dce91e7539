//! The service and everyone around it in one thread, with a clock of its own, from a seed. The
//! service crashes at any point and starts again with what its disk has synced; the disk is
//! slow, is full at times, and fails. Clients and runners stay, and every response is compared
//! with those before it.
//!
//! The network is not simulated: calls reach the engine directly, and responses wait until they
//! are durable as in the middleware. A caller that gives up, and a crash, lose responses.
//!
//! `PIPEWRIGHT_SEEDS=1000` plays that many seeds, `PIPEWRIGHT_SEED=7` the one alone.

mod clients;
mod logs;
mod machine;
mod planted;
mod record;
mod runners;
mod watchers;

use std::{
    env,
    sync::Arc,
    task::Poll,
    time::{Duration, SystemTime},
};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::{
    runtime,
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

use crate::{
    blobs::logs::{LogKey, LogStore},
    domain::{JobId, JobState, StageState},
    engine::jitter::seeded,
    store::{Faults, JobFilter, JobStore, LeaseStore, ReadyStage},
};

use super::{
    history::{Seen, check_history},
    world::{SECOND, TTL},
};
use clients::Client;
use machine::{Machine, Planted, Service};
use record::Record;
use runners::{Process, Worker};
use watchers::Watcher;

/// A debug build plays about eight of them in a second.
const SEEDS: u64 = 50;
const CLIENTS: u64 = 2;
pub(super) const WATCHERS: u32 = 2;
/// Runs of the service that end in a crash.
const CRASHES: u64 = 3;
/// By then all jobs are over, whatever has happened before.
const LONGEST: Duration = Duration::from_secs(15 * 60);

/// What happened in a simulation.
struct Played {
    responses: Vec<String>,
    result: Result<(), String>,
}

fn play(seed: u64, planted: Option<Planted>) -> Played {
    let record = Record::default();
    let mut simulation = Simulation {
        seed,
        life: 0,
        chance: StdRng::seed_from_u64(seed),
        machine: Machine::new(planted),
        remote: Vec::new(),
        record: record.clone(),
        ran: Duration::ZERO,
    };
    for name in ["first", "second"] {
        let process = Process::new("runners", name, &mut simulation.chance);
        simulation.remote.push(process);
    }
    while simulation.life < CRASHES && record.lock().violation.is_none() {
        simulation.live(false);
    }
    // Without faults, to see everything end; once for each watcher.
    for _ in 0..WATCHERS {
        if record.lock().violation.is_none() {
            simulation.live(true);
        }
    }
    let told = record.lock();
    let result = match &told.violation {
        Some(violation) => Err(violation.clone()),
        None => check_history(&told.seen, TTL),
    };
    Played {
        responses: told.responses.clone(),
        result,
    }
}

struct Simulation {
    seed: u64,
    /// How often the service was started.
    life: u64,
    chance: StdRng,
    machine: Machine,
    remote: Vec<Process>,
    record: Record,
    /// How long the service has run in all its lives.
    ran: Duration,
}

impl Simulation {
    /// Starts the service and runs it until it crashes, or with everything in order until all
    /// jobs are over. Its runtime ends with it, and so does all that it does.
    fn live(&mut self, is_last: bool) {
        self.life += 1;
        seeded::seed(self.seed_of(0));
        let faults = Faults {
            chance: StdRng::seed_from_u64(self.seed_of(1)),
            full: 15,
            fatal: 5,
        };
        self.machine.disk.fail((!is_last).then_some(faults));
        let runtime = runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            // The crash may come between any two polls of tasks.
            .event_interval(1)
            .build()
            .unwrap();
        let ran = runtime.block_on(async {
            let started = Instant::now();
            self.run(is_last, started).await;
            started.elapsed()
        });
        drop(runtime);
        self.ran += ran;
        self.machine.crash(ran, &mut self.chance);
    }

    fn seed_of(&self, part: u64) -> u64 {
        (self.seed * 1_000 + self.life) * 1_000 + part
    }

    async fn run(&mut self, is_last: bool, started: Instant) {
        let service = match self.machine.start().await {
            Ok(service) => service,
            Err(error) if is_last => {
                let error = format!("the service does not start: {error}");
                return self.record.violate(error);
            }
            // The disk failed it.
            Err(_) => return,
        };
        self.audit(&service).await;
        let mut tasks = JoinSet::new();
        self.spawn_runners(&service, is_last, &mut tasks);
        if is_last {
            self.end_all(&service, started).await;
            self.audit(&service).await;
            return;
        }
        for number in 0..CLIENTS {
            let client = Client {
                service: service.clone(),
                record: self.record.clone(),
                chance: StdRng::seed_from_u64(self.seed_of(10 + number)),
            };
            tasks.spawn(client.act());
        }
        tasks.spawn(clients::read_during_writes(
            service.clone(),
            self.record.clone(),
            Arc::clone(&self.machine.disk),
            StdRng::seed_from_u64(self.seed_of(19)),
        ));
        for number in 0..WATCHERS {
            tasks.spawn(self.watcher(number, &service).watch_some());
        }
        tasks.spawn(observe(
            service.clone(),
            self.record.clone(),
            self.ran,
            started,
        ));
        let lasts = Duration::from_millis(self.chance.random_range(0..60_000));
        tokio::select! {
            biased;
            () = service.failed() => {}
            () = sleep(lasts) => self.crash_soon().await,
        }
        if self.chance.random_range(0..4) == 0 {
            let index = self.chance.random_range(0..self.remote.len());
            self.remote[index].restart(&mut self.chance);
        }
    }

    /// Waits for a write, and then for a few polls of tasks.
    async fn crash_soon(&mut self) {
        let polls = self.chance.random_range(0..40);
        let begun = self.machine.disk.begun.notified();
        let _ = timeout(10 * SECOND, begun).await;
        let mut left = polls;
        std::future::poll_fn(|context| {
            if left == 0 {
                return Poll::Ready(());
            }
            left -= 1;
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }

    fn watcher(&self, number: u32, service: &Service) -> Watcher {
        Watcher {
            number,
            life: self.life,
            service: service.clone(),
            record: self.record.clone(),
            chance: StdRng::seed_from_u64(self.seed_of(20 + u64::from(number))),
        }
    }

    fn spawn_runners(&mut self, service: &Service, is_calm: bool, tasks: &mut JoinSet<()>) {
        let embedded = Process::new("", "embedded", &mut self.chance);
        let processes = self.remote.iter().cloned().chain([embedded]);
        for (process, number) in processes.zip(30..) {
            let worker = Worker {
                process,
                service: service.clone(),
                record: self.record.clone(),
                chance: StdRng::seed_from_u64(self.seed_of(number)),
                is_calm,
            };
            tasks.spawn(worker.work());
        }
    }

    /// Repeats all calls that were not answered, and waits until all jobs are over and everyone
    /// has seen it.
    async fn end_all(&mut self, service: &Service, started: Instant) {
        let (creations, triggers) = {
            let told = self.record.lock();
            (told.creations.len(), told.triggers.len())
        };
        for index in 0..creations {
            clients::create(service, &self.record, index).await;
        }
        for index in 0..triggers {
            clients::trigger(service, &self.record, index).await;
        }
        let mut watches = JoinSet::new();
        let jobs: Vec<JobId> = self.record.lock().jobs.keys().copied().collect();
        for id in jobs {
            for number in 0..WATCHERS {
                let watcher = self.watcher(number, service);
                if watcher.is_to_watch(id) {
                    watches.spawn(watcher.watch_to_its_end(id));
                }
            }
        }
        let observed = observe(service.clone(), self.record.clone(), self.ran, started);
        let ended = async {
            while let Some(watched) = watches.join_next().await {
                watched.unwrap();
            }
        };
        let ended = timeout(LONGEST, ended);
        let is_over = tokio::select! {
            biased;
            ended = ended => ended.is_ok(),
            () = observed => false,
        };
        if !is_over {
            let violation = "I3: watches are still open".to_owned();
            self.record.violate(violation);
        }
    }

    /// Compares the service with all responses so far.
    async fn audit(&self, service: &Service) {
        let jobs = service.engine.jobs();
        let call = super::world::caller();
        let all = jobs.list(&call, JobFilter::default(), None, 1_000).await;
        let all = match all {
            Ok(all) => all,
            Err(error) => return self.record.violate(format!("the list of jobs: {error}")),
        };
        let mut told = self.record.lock();
        let shown: Vec<(JobId, i64)> = told.jobs.iter().map(|(id, seen)| (*id, *seen)).collect();
        for (id, seen) in shown {
            match all.iter().find(|job| job.id == id) {
                Some(job) if job.last_sequence >= seen => {}
                Some(job) => told.violate(format!(
                    "I1: job {id} has {} of {seen} events",
                    job.last_sequence
                )),
                None => told.violate(format!("I1: job {id} is lost")),
            }
        }
        for index in 0..told.triggers.len() {
            let number = index.to_string();
            let made = all
                .iter()
                .filter(|job| job.variables.get("NUMBER") == Some(&number));
            let made: Vec<JobId> = made.map(|job| job.id).collect();
            let response = told.triggers[index].response;
            let is_right = match response {
                Some((id, ..)) => made == [id],
                None => made.len() <= 1,
            };
            if !is_right {
                told.violate(format!(
                    "I6: trigger {index} made {made:?}, told {response:?}"
                ));
            }
        }
        for ((id, stage, attempt), has_ended) in told.stages.clone() {
            let job = all.iter().find(|job| job.id == id);
            let run = job.and_then(|job| {
                let runs = job.stage_runs.iter();
                let mut runs = runs.filter(|run| job.stage(run).name == stage);
                runs.find(|run| run.attempt == attempt)
            });
            let is_right = run.is_some_and(|run| {
                run.state.is_terminal() || (!has_ended && run.state == StageState::Running)
            });
            if !is_right {
                let state = run.map(|run| run.state);
                told.violate(format!("I1: {id} {stage} {attempt} is {state:?} now"));
            }
        }
        for job in &all {
            for run in &job.stage_runs {
                let key = LogKey {
                    job_id: job.id,
                    run: run.key(),
                };
                let (stored, size) = (self.machine.logs.size(key), run.log.size);
                if run.state.is_terminal() && stored < size {
                    told.violate(format!(
                        "I8: the log of {key:?} has {stored} of {size} bytes"
                    ));
                }
            }
        }
    }
}

/// Records which stages run, and whether on a live lease. The time that the service was away
/// does not count.
async fn observe(service: Service, record: Record, ran: Duration, started: Instant) {
    loop {
        note_running(&service, &record, ran + started.elapsed()).await;
        sleep(SECOND).await;
    }
}

async fn note_running(service: &Service, record: &Record, at: Duration) {
    let store = &service.store;
    let now: SystemTime = service.now();
    let Ok(runners) = store.list_runners(None, 10).await else {
        return;
    };
    let leases: Vec<_> = runners.iter().flat_map(|runner| &runner.leases).collect();
    let active = JobFilter {
        states: vec![JobState::Queued, JobState::Running, JobState::Cancelling],
        ..JobFilter::default()
    };
    let Ok(jobs) = store.list_jobs(&active, None, 1_000).await else {
        return;
    };
    let mut told = record.lock();
    for job in jobs {
        let running = job.stage_runs.iter();
        for run in running.filter(|run| run.state == StageState::Running) {
            let is_of_run = |stage: &ReadyStage| stage.job_id == job.id && stage.run == run.key();
            let mut leases = leases.iter();
            let has_lease = leases.any(|lease| is_of_run(&lease.stage) && lease.is_live(now));
            told.seen.push(Seen::Running {
                stage: format!("{} {:?}", job.id, run.key()),
                at,
                has_lease,
            });
        }
    }
}

fn number_of(variable: &str) -> Option<u64> {
    let value = env::var(variable).ok()?;
    Some(value.parse().expect("a number"))
}

#[test]
fn what_the_service_says_stays_true() {
    let seeds = match number_of("PIPEWRIGHT_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number_of("PIPEWRIGHT_SEEDS").unwrap_or(SEEDS),
    };
    for seed in seeds {
        let played = play(seed, None);
        assert!(
            played.result.is_ok(),
            "{:?}; PIPEWRIGHT_SEED={seed} plays it again",
            played.result
        );
    }
}

/// A read that began after a write had failed for good showed what was lost.
#[test]
fn no_state_is_shown_after_a_failure_for_good() {
    assert_eq!(play(729, None).result, Ok(()));
}

#[test]
fn a_seed_plays_the_same_each_time() {
    for seed in 0..10 {
        let (first, second) = (play(seed, None), play(seed, None));
        let same = first.responses.iter().zip(&second.responses);
        let differs = same
            .enumerate()
            .find(|(_, (first, second))| first != second);
        assert_eq!(differs, None, "seed {seed}");
        assert_eq!(first.responses.len(), second.responses.len(), "seed {seed}");
    }
}
