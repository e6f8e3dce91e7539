use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use metrics::{counter, gauge, histogram};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::{
    domain::cut,
    engine::Clock,
    telemetry::metrics::{TASK_DURATION, TASK_ITEMS, TASK_LAST_SUCCESS, TASK_RUNS},
};

use super::{Ran, Task, TaskState, TaskStatus, pause::Pause};

/// Longest error that a status keeps, in bytes.
const MAX_ERROR: usize = 512;

/// Keeps a task's status, metrics and log lines consistent.
pub(super) struct Record {
    clock: Arc<dyn Clock>,
    status: Mutex<TaskStatus>,
}

impl Record {
    pub(super) fn new(task: Task, clock: Arc<dyn Clock>) -> Self {
        let Task {
            name,
            description,
            period,
        } = task;
        let status = Mutex::new(TaskStatus {
            name,
            description,
            period,
            state: TaskState::Idle,
            runs: 0,
            failures: 0,
            consecutive_failures: 0,
            items: 0,
            last_start: None,
            last_duration: None,
            last_success: None,
            last_error: None,
            next_run: Some(clock.now()),
        });
        Self { clock, status }
    }

    pub(super) fn status(&self) -> TaskStatus {
        self.status.lock().clone()
    }

    pub(super) fn start(&self) {
        let mut status = self.status.lock();
        status.state = TaskState::Running;
        status.last_start = Some(self.clock.now());
        status.next_run = None;
    }

    /// Records the result of a run and returns the pause before the next.
    pub(super) fn finish(&self, result: Result<Ran, String>, took: Duration) -> Pause {
        let (now, wall) = (Instant::now(), self.clock.now());
        let mut status = self.status.lock();
        count(status.name, &result, took, wall);
        status.state = TaskState::Idle;
        status.runs += 1;
        status.last_duration = Some(took);
        let pause = match result {
            Ok(ran) => {
                status.items += ran.items;
                status.consecutive_failures = 0;
                status.last_success = Some(wall);
                Pause::after_success(ran, status.period, now)
            }
            Err(error) => {
                status.failures += 1;
                status.consecutive_failures = status.consecutive_failures.saturating_add(1);
                tracing::error!(%error, task = status.name,
                    failures = status.consecutive_failures, "a background task failed");
                status.last_error = Some(cut(&error, MAX_ERROR).to_owned());
                Pause::after_failure(status.consecutive_failures, status.period, now)
            }
        };
        status.next_run = Some(wall + pause.until.saturating_duration_since(now));
        pause
    }
}

fn count(task: &'static str, result: &Result<Ran, String>, took: Duration, now: SystemTime) {
    // Both series exist from the first run on: `rate` would not see the first failure
    // in a series that begins at 1.
    for (name, counts) in [("ok", result.is_ok()), ("failed", result.is_err())] {
        counter!(TASK_RUNS, "task" => task, "result" => name).increment(counts.into());
    }
    histogram!(TASK_DURATION, "task" => task).record(took);
    if let Ok(ran) = result {
        counter!(TASK_ITEMS, "task" => task).increment(ran.items);
        let since_epoch = now.duration_since(SystemTime::UNIX_EPOCH);
        let seconds = since_epoch.unwrap_or_default().as_secs_f64();
        gauge!(TASK_LAST_SUCCESS, "task" => task).set(seconds);
    }
}
