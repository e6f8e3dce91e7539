//! Kills the service again and again while clients, runners, watchers and readers use it, and
//! checks after each restart that everything that was acknowledged is there.
//!
//! It knows only the API, so that it can run on any release. A seed determines what each
//! client does and when the service dies, but not how their calls interleave.

mod audit;
mod calls;
mod follow;
#[allow(
    dead_code,
    reason = "whether a running stage has a lease is not in the API"
)]
#[path = "../history.rs"]
mod history;
mod load;
#[path = "../processes.rs"]
mod processes;
mod raw;
mod scenario;
mod service;
mod stages;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tempfile::TempDir;
use tokio::{sync::watch, task::JoinSet, time};
use tonic::{Status, transport::Channel};

use calls::{Answer, Call, Ledger, is_unclear};
use follow::{ReadLog, Watch};
use history::{Checker, Seen};
use load::Client;
use processes::living;
use raw::RawRunner;
use service::{Disk, Gateway, Process, Service, Started};
use stages::{Attempt, Kind, POOL, Pool};

pub(crate) use scenario::kill_among_jobs;

const CLIENTS: usize = 16;
const RUNNERS: [&str; 3] = ["one", "two", "three"];
/// The lifetime of a lease, as the flags of the service have it.
const TTL: Duration = Duration::from_secs(30);
/// Rounds on one data directory.
const ROUNDS_ON_A_DISK: usize = 25;
/// After this time, something that has to happen never will.
const PATIENCE: Duration = Duration::from_secs(120);
/// A generous bound for a start; the summary has the longest one.
const MAX_RECOVERY: Duration = Duration::from_secs(20);

/// What to run.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) rounds: usize,
    pub(crate) seed: u64,
    /// The program of the file system that drops unsynced writes.
    pub(crate) unsynced: Option<PathBuf>,
}

/// What was run. Nothing was lost or repeated: the first violation is a panic.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    pub(crate) rounds: usize,
    /// Restarts that were killed before the service listened.
    pub(crate) killed_starts: usize,
    pub(crate) acknowledged: usize,
    /// Calls without an answer, which were repeated after the restart.
    pub(crate) unclear: usize,
    /// Acknowledged calls that were repeated with their idempotency key.
    pub(crate) repeated: usize,
    pub(crate) jobs: usize,
    pub(crate) attempts: usize,
    pub(crate) lost_attempts: usize,
    pub(crate) gaps: usize,
    pub(crate) worst_recovery: Duration,
}

/// Everything around the service on one data directory.
pub(crate) struct World {
    gateway: Gateway,
    is_up: watch::Sender<bool>,
    is_done: AtomicBool,
    ledger: Mutex<Ledger>,
    /// How many of the acknowledged calls were checked after a restart.
    audited: Mutex<usize>,
    history: Mutex<Checker>,
    newest_token: AtomicI64,
    watchers: AtomicU32,
    failure: Mutex<Option<String>>,
    /// Readers may have seen bytes of a log that are lost.
    may_lose_log: bool,
    /// A text that the processes of all stages carry.
    mark: String,
    /// Each attempt adds a line when it begins.
    ran: PathBuf,
    directory: TempDir,
}

impl World {
    async fn open(disk: &Disk) -> Arc<Self> {
        let directory = tempfile::tempdir().unwrap();
        let (is_up, _) = watch::channel(false);
        Arc::new(Self {
            gateway: Gateway::open().await,
            is_up,
            is_done: AtomicBool::new(false),
            ledger: Mutex::default(),
            audited: Mutex::default(),
            history: Checker::new(TTL).into(),
            newest_token: AtomicI64::new(0),
            watchers: AtomicU32::new(0),
            failure: Mutex::default(),
            may_lose_log: disk.is_unsynced(),
            mark: directory.path().display().to_string(),
            ran: directory.path().join("ran"),
            directory,
        })
    }

    async fn until_up(&self) {
        let mut is_up = self.is_up.subscribe();
        let waited = is_up.wait_for(|is_up| *is_up).await;
        waited.expect("the world has the sender");
    }

    fn is_done(&self) -> bool {
        self.is_done.load(Ordering::Relaxed)
    }

    /// Repeats a call until it is clear what became of it.
    async fn repeat<T, Calling: Future<Output = Result<T, Status>>>(
        &self,
        call: impl Fn() -> Calling,
    ) -> Result<T, Status> {
        loop {
            self.until_up().await;
            match call().await {
                Err(status) if is_unclear(&status) => {}
                clear => return clear,
            }
        }
    }

    /// Notes a violation; the first one is reported.
    fn fail(&self, what: String) {
        self.failure.lock().get_or_insert(what);
    }

    fn saw(&self, seen: &Seen) {
        if let Err(violation) = self.history.lock().check(seen) {
            self.fail(violation);
        }
    }

    fn check(&self, seed: u64, round: usize, runners: &[Process]) {
        if let Some(failure) = self.failure.lock().take() {
            for runner in runners {
                eprintln!("--- a runner\n{}", runner.output());
            }
            panic!("seed {seed}, round {round}: {failure}");
        }
    }

    /// Sets how many acknowledged calls are checked, and returns how many were.
    fn audited(&self, total: usize) -> usize {
        std::mem::replace(&mut *self.audited.lock(), total)
    }

    fn temporary(&self) -> &Path {
        self.directory.path()
    }

    /// Starts the service, and lets everyone find it.
    async fn start(&self, disk: &Disk, kill_after: Option<Duration>) -> Option<Service> {
        let service = Service::start(&disk.data(), self.temporary(), kill_after).await?;
        assert!(
            service.recovery < MAX_RECOVERY,
            "ready after {:?}",
            service.recovery
        );
        self.gateway.lead_to(Some(service.address));
        self.is_up.send_replace(true);
        Some(service)
    }

    async fn kill(&self, service: Service) {
        self.gateway.lead_to(None);
        let output = service.kill().await;
        self.is_up.send_replace(false);
        self.check_output(&output);
    }

    fn check_output(&self, output: &str) {
        if output.contains("panicked") || output.contains("ERROR") {
            self.fail(format!("the service reported:\n{output}"));
        }
    }

    async fn start_runners(&self) -> Vec<Process> {
        let mut runners = Vec::new();
        for name in RUNNERS {
            let mut command = service::pipewright(self.temporary());
            let address = self.gateway.address.to_string();
            command.args(["runner", "--server", &address, "--name", name]);
            command.args(["--capacity", "2"]);
            // The stages of the embedded runner are not for it.
            command.args(["--labels", &format!("os=other,{POOL}=remote")]);
            command.arg("--workspace-dir");
            command.arg(self.temporary().join(name));
            match Process::start(&mut command, "registered", None).await {
                Started::Runs(runner, _) => runners.push(*runner),
                Started::Killed => unreachable!("it is not killed"),
                Started::Ended(output) => panic!("runner {name} ended:\n{output}"),
            }
        }
        runners
    }

    /// Ends everything, and checks that nothing of a stage is left.
    async fn close(&self, service: Service, runners: Vec<Process>, disk: Disk) {
        for runner in runners {
            let (status, output) = runner.stop().await;
            assert!(status.success(), "a runner ended with {status}:\n{output}");
        }
        let (status, output) = service.stop().await;
        assert!(
            status.success(),
            "the service ended with {status}:\n{output}"
        );
        self.check_output(&output);
        let left = living(&self.mark);
        let left: Vec<_> = left
            .iter()
            .filter(|(pid, _)| u32::try_from(*pid) != Ok(std::process::id()))
            .collect();
        assert!(left.is_empty(), "processes are left: {left:?}");
        disk.close().await;
    }

    /// What ran, each attempt once.
    fn ran(&self) -> BTreeSet<String> {
        let text = std::fs::read_to_string(&self.ran).unwrap_or_default();
        let mut ran = BTreeSet::new();
        for line in text.lines() {
            if !ran.insert(line.to_owned()) {
                self.fail(format!("{line} ran twice"));
            }
        }
        ran
    }
}

/// Runs all rounds.
///
/// # Panics
/// With the seed and the round, if something was lost or repeated, or is not as it has to be.
pub(crate) async fn run(plan: &Plan) -> Summary {
    let mut summary = Summary::default();
    let mut chance = StdRng::seed_from_u64(plan.seed);
    while summary.rounds < plan.rounds {
        let rounds = (plan.rounds - summary.rounds).min(ROUNDS_ON_A_DISK);
        run_on_a_disk(plan, rounds, &mut chance, &mut summary).await;
        if summary.rounds < plan.rounds {
            println!("so far {summary}");
        }
    }
    summary
}

async fn run_on_a_disk(plan: &Plan, rounds: usize, chance: &mut StdRng, summary: &mut Summary) {
    let mut disk = match &plan.unsynced {
        Some(program) => Disk::unsynced(program).await,
        None => Disk::directory(),
    };
    let world = World::open(&disk).await;
    let mut service = world.start(&disk, None).await.expect("it is not killed");
    let runners = world.start_runners().await;
    let raw = tokio::spawn(RawRunner::new(&world, chance.random()).work(Arc::clone(&world)));
    let mut clients: Vec<_> = (0..CLIENTS)
        .map(|number| Client::new(&world, number, chance.random()))
        .collect();
    let mut followers = Followers::new(&world, chance.random());
    for _ in 0..rounds {
        let mut working = JoinSet::new();
        for client in clients.drain(..) {
            working.spawn(client.work(Arc::clone(&world)));
        }
        let load = Duration::from_micros(chance.random_range(20_000..600_000));
        let until = time::Instant::now() + load;
        while time::Instant::now() < until {
            time::sleep(Duration::from_millis(20)).await;
            followers.follow_new(&world);
        }
        world.kill(service).await;
        clients = working.join_all().await;
        disk.crash(chance.random()).await;
        // Sometimes it dies again before it is ready.
        while chance.random_bool(0.25) {
            let kill_after = Duration::from_micros(chance.random_range(0..40_000));
            match Service::start(&disk.data(), world.temporary(), Some(kill_after)).await {
                None => summary.killed_starts += 1,
                Some(started) => drop(started.kill().await),
            }
            disk.crash(chance.random()).await;
        }
        service = world.start(&disk, None).await.expect("it is not killed");
        summary.worst_recovery = summary.worst_recovery.max(service.recovery);
        audit::after_restart(&world, chance, summary).await;
        summary.rounds += 1;
        world.check(plan.seed, summary.rounds, &runners);
    }
    audit::at_the_end(&world, summary).await;
    followers.end(&world).await;
    world.check(plan.seed, summary.rounds, &runners);
    world.is_done.store(true, Ordering::Relaxed);
    time::timeout(PATIENCE, raw)
        .await
        .expect("in time")
        .unwrap();
    world.close(service, runners, disk).await;
    world.check(plan.seed, summary.rounds, &[]);
}

/// Watchers and readers that outlive the service.
struct Followers {
    tasks: JoinSet<()>,
    chance: StdRng,
    channel: Channel,
    considered: BTreeSet<String>,
}

impl Followers {
    fn new(world: &World, seed: u64) -> Self {
        Self {
            tasks: JoinSet::new(),
            chance: StdRng::seed_from_u64(seed),
            channel: world.gateway.channel(),
            considered: BTreeSet::new(),
        }
    }

    /// Follows some of the jobs that were started since the last call.
    fn follow_new(&mut self, world: &Arc<World>) {
        let mut new = Vec::new();
        for (id, job) in &world.ledger.lock().jobs {
            if self.considered.insert(id.clone()) {
                new.push((id.clone(), job.number, job.kind));
            }
        }
        for (id, number, kind) in new {
            let share = if kind == Kind::Idle { 0.05 } else { 0.6 };
            if self.chance.random_bool(share) {
                self.follow(world, id, number, kind);
            }
        }
    }

    fn follow(&mut self, world: &Arc<World>, id: String, number: u32, kind: Kind) {
        for _ in 0..2 {
            let watch = Watch::new(world, number, id.clone());
            self.tasks
                .spawn(watch.follow(Arc::clone(world), self.channel.clone()));
        }
        let stages = kind.pipeline(String::new(), "", Path::new("")).stages;
        for stage in stages {
            if Pool::of(&stage.name) != Pool::Nowhere {
                let attempt = Attempt {
                    job: id.clone(),
                    stage: stage.name,
                    number: 1,
                };
                let log = ReadLog::default();
                self.tasks
                    .spawn(log.follow(Arc::clone(world), self.channel.clone(), attempt));
            }
        }
    }

    async fn end(mut self, world: &World) {
        let all = async {
            while let Some(ended) = self.tasks.join_next().await {
                ended.unwrap();
            }
        };
        if time::timeout(PATIENCE, all).await.is_err() {
            world.fail("a watch or a log of an ended job did not end".to_owned());
        }
    }
}

impl std::fmt::Display for Summary {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            formatter,
            "{} rounds, {} starts killed early; {} acknowledged writes, 0 lost, 0 repeated; \
             {} calls without an answer; {} calls repeated with their key; {} jobs, {} attempts, \
             {} lost with the embedded runner, {} gaps in logs; ready after {} ms at worst",
            self.rounds,
            self.killed_starts,
            self.acknowledged,
            self.unclear,
            self.repeated,
            self.jobs,
            self.attempts,
            self.lost_attempts,
            self.gaps,
            self.worst_recovery.as_millis()
        )
    }
}
