use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use metrics_exporter_prometheus::PrometheusBuilder;
use parking_lot::Mutex;
use tokio::{
    sync::Notify,
    time::{self, Instant},
};

use crate::engine::Clock;

use super::{Ran, Task, TaskState, TaskStatus, Tasks};

const SECOND: Duration = Duration::from_secs(1);
const PERIOD: Duration = Duration::from_secs(600);

/// A wall clock that follows tokio's paused one.
struct PausedClock(Instant);

impl Clock for PausedClock {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + 1_000 * SECOND + self.0.elapsed()
    }
}

/// A task whose runs are counted, and whose results a test sets.
struct World {
    tasks: Tasks,
    wake: Arc<Notify>,
    owner: Option<Arc<Owner>>,
}

#[derive(Default)]
struct Owner {
    runs: AtomicU64,
    takes: Mutex<Duration>,
    does: Mutex<Does>,
}

#[derive(Clone, Copy, Default)]
enum Does {
    #[default]
    Nothing,
    Items(u64),
    /// The next run is due after this time.
    Next(Duration),
    Fail,
    Panic,
}

async fn run(owner: Arc<Owner>) -> Result<Ran, String> {
    owner.runs.fetch_add(1, Ordering::Relaxed);
    let (takes, does) = (*owner.takes.lock(), *owner.does.lock());
    time::sleep(takes).await;
    match does {
        Does::Nothing => Ok(Ran::default()),
        Does::Items(items) => Ok(Ran { items, next: None }),
        Does::Next(after) => Ok(Ran {
            items: 0,
            next: Some(Instant::now() + after),
        }),
        Does::Fail => Err("é".repeat(400)),
        Does::Panic => panic!("run {}", owner.runs.load(Ordering::Relaxed)),
    }
}

impl World {
    /// Returns after the run at the start.
    async fn start(takes: Duration, does: Does) -> Self {
        let owner = Arc::new(Owner {
            runs: AtomicU64::new(0),
            takes: Mutex::new(takes),
            does: Mutex::new(does),
        });
        let world = Self {
            tasks: Tasks::new(Arc::new(PausedClock(Instant::now()))),
            wake: Arc::default(),
            owner: Some(owner),
        };
        world.spawn("sweep");
        time::sleep(takes + Duration::from_millis(1)).await;
        assert_eq!(world.runs(), 1, "it runs immediately");
        world
    }

    fn owner(&self) -> &Arc<Owner> {
        self.owner.as_ref().unwrap()
    }

    fn spawn(&self, name: &'static str) {
        let task = Task {
            name,
            description: "sweeps",
            period: PERIOD,
        };
        let owner = Arc::downgrade(self.owner());
        self.tasks.spawn(task, Arc::clone(&self.wake), owner, run);
    }

    fn runs(&self) -> u64 {
        self.owner().runs.load(Ordering::Relaxed)
    }

    /// Runs that start within a time.
    async fn runs_in(&self, time: Duration) -> u64 {
        let before = self.runs();
        time::sleep(time).await;
        self.runs() - before
    }

    fn status(&self) -> TaskStatus {
        self.tasks.statuses().remove(0)
    }
}

#[tokio::test(start_paused = true)]
async fn it_runs_once_a_period() {
    let world = World::start(Duration::ZERO, Does::Nothing).await;
    assert_eq!(world.runs_in(PERIOD - SECOND).await, 0);
    assert_eq!(world.runs_in(2 * SECOND).await, 1);
    assert_eq!(world.runs_in(10 * PERIOD).await, 10);
}

#[tokio::test(start_paused = true)]
async fn a_notification_of_either_kind_runs_it_immediately() {
    let world = World::start(Duration::ZERO, Does::Nothing).await;
    world.wake.notify_one();
    assert_eq!(world.runs_in(SECOND).await, 1);
    world.wake.notify_waiters();
    assert_eq!(world.runs_in(SECOND).await, 1);
}

#[tokio::test(start_paused = true)]
async fn it_runs_at_its_due_time_but_no_later_than_its_period() {
    let world = World::start(Duration::ZERO, Does::Next(10 * SECOND)).await;
    assert_eq!(world.runs_in(9 * SECOND).await, 0);
    *world.owner().does.lock() = Does::Next(2 * PERIOD);
    assert_eq!(world.runs_in(2 * SECOND).await, 1);
    assert_eq!(world.runs_in(PERIOD).await, 1);
}

#[tokio::test(start_paused = true)]
async fn notifications_during_a_run_coalesce_into_one_further_run() {
    for notify in [Notify::notify_one, Notify::notify_waiters] {
        let world = World::start(10 * SECOND, Does::Nothing).await;
        world.wake.notify_one();
        time::sleep(SECOND).await;
        assert_eq!(world.runs(), 2);
        for _ in 0..5 {
            notify(&world.wake);
            time::sleep(SECOND).await;
        }
        assert_eq!(world.runs_in(PERIOD - SECOND).await, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn failures_delay_the_next_run_exponentially() {
    let world = World::start(Duration::ZERO, Does::Fail).await;
    // 1 to 2 s, 2 to 4, 4 to 8, 8 to 16, 16 to 32, then 30 to 60.
    let early = world.runs_in(62 * SECOND).await;
    assert!((5..=6).contains(&early), "{early}");
    let late = world.runs_in(600 * SECOND).await;
    assert!((9..=20).contains(&late), "{late}");
    let status = world.status();
    assert_eq!(status.consecutive_failures as u64, status.runs);
    *world.owner().does.lock() = Does::Nothing;
    time::sleep(61 * SECOND).await;
    let status = world.status();
    assert_eq!(status.consecutive_failures, 0);
    assert_eq!(status.runs, status.failures + 1);
    assert_eq!(world.runs_in(PERIOD - 62 * SECOND).await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_notification_cuts_a_backoff_short_to_a_second() {
    for notify in [Notify::notify_one, Notify::notify_waiters] {
        let world = World::start(Duration::ZERO, Does::Fail).await;
        // By now the backoff is at least 30 s.
        time::sleep(300 * SECOND).await;
        world.wake.notify_one();
        time::sleep(2 * SECOND).await;
        let runs = world.runs();
        notify(&world.wake);
        time::sleep(Duration::from_millis(10)).await;
        assert_eq!(world.runs(), runs + 1, "the last second has passed");
        for _ in 0..5 {
            notify(&world.wake);
        }
        assert_eq!(world.runs_in(Duration::from_millis(980)).await, 0);
        assert_eq!(world.runs_in(Duration::from_millis(20)).await, 1);
        assert_eq!(world.runs_in(20 * SECOND).await, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_counts_as_a_failure_and_the_task_continues() {
    let world = World::start(Duration::ZERO, Does::Panic).await;
    let status = world.status();
    assert_eq!((status.runs, status.failures), (1, 1));
    assert_eq!(status.last_error.as_deref(), Some("panicked: run 1"));
    assert!(world.runs_in(3 * SECOND).await >= 1);
}

#[tokio::test(start_paused = true)]
async fn it_ends_with_its_owner_and_does_not_keep_it_alive() {
    let mut world = World::start(Duration::ZERO, Does::Nothing).await;
    assert_eq!(Arc::strong_count(world.owner()), 1);
    assert_eq!(Arc::strong_count(&world.wake), 2);
    world.owner = None;
    world.wake.notify_one();
    time::sleep(SECOND).await;
    assert_eq!(Arc::strong_count(&world.wake), 1);
}

#[tokio::test(start_paused = true)]
async fn a_status_shows_the_last_runs_and_the_next_one() {
    let began = SystemTime::UNIX_EPOCH + 1_000 * SECOND;
    let world = World::start(2 * SECOND, Does::Items(3)).await;
    let first = TaskStatus {
        name: "sweep",
        description: "sweeps",
        period: PERIOD,
        state: TaskState::Idle,
        runs: 1,
        failures: 0,
        consecutive_failures: 0,
        items: 3,
        last_start: Some(began),
        last_duration: Some(2 * SECOND),
        last_success: Some(began + 2 * SECOND),
        last_error: None,
        next_run: Some(began + 2 * SECOND + PERIOD),
    };
    assert_eq!(world.status(), first);

    *world.owner().does.lock() = Does::Fail;
    world.wake.notify_one();
    time::sleep(SECOND).await;
    let running = world.status();
    assert_eq!((running.state, running.runs), (TaskState::Running, 1));
    assert_eq!(running.next_run, None);
    time::sleep(SECOND).await;
    time::sleep(Duration::from_millis(1)).await;
    let failed = world.status();
    assert_eq!((failed.state, failed.failures), (TaskState::Idle, 1));
    assert_eq!(failed.last_success, first.last_success);
    assert_eq!(failed.last_error.map(|error| error.len()), Some(512));
    assert_eq!(failed.items, 3);

    world.spawn("admit");
    let names: Vec<_> = world.tasks.statuses().iter().map(|s| s.name).collect();
    assert_eq!(names, ["admit", "sweep"]);
}

#[tokio::test(start_paused = true)]
async fn its_runs_are_counted() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let numbers = recorder.handle();
    let _recording = metrics::set_default_local_recorder(&recorder);
    let world = World::start(Duration::ZERO, Does::Items(3)).await;
    *world.owner().does.lock() = Does::Fail;
    world.wake.notify_one();
    time::sleep(Duration::from_millis(1)).await;
    let page = numbers.render();
    for line in [
        r#"pipewright_task_runs_total{task="sweep",result="ok"} 1"#,
        r#"pipewright_task_runs_total{task="sweep",result="failed"} 1"#,
        r#"pipewright_task_items_total{task="sweep"} 3"#,
        r#"pipewright_task_duration_seconds_count{task="sweep"} 2"#,
        r#"pipewright_task_last_success_timestamp_seconds{task="sweep"} 1000"#,
    ] {
        assert!(page.lines().any(|l| l.starts_with(line)), "{line}:\n{page}");
    }
}
