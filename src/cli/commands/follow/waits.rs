//! What a job without progress waits for.

use std::time::Duration;

use tokio::time::{Instant, timeout};

use crate::{
    cli::{
        connect::{client::Client, watch},
        present::{format::Format, labels, out, view::JobView},
    },
    proto::v1::{
        self,
        stage_run::{PendingReason, State},
    },
};

/// How long a job may make no progress before the reason is shown, and how often it is asked.
const PATIENCE: Duration = Duration::from_secs(2);
/// Timeout of that call; nothing else is shown meanwhile.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// Shows why nothing runs: no event has that, as it is a view of the moment.
pub(super) struct Waits {
    format: Format,
    due: Instant,
    told: Vec<String>,
}

impl Waits {
    /// Prints nothing for programs.
    pub(super) fn new(format: Format) -> Self {
        Self {
            format,
            due: Instant::now() + PATIENCE,
            told: Vec::new(),
        }
    }

    /// Records progress of the job.
    pub(super) fn moved(&mut self) {
        self.due = Instant::now() + PATIENCE;
    }

    /// When to ask next.
    pub(super) fn due(&self) -> Instant {
        self.due
    }

    /// Whether no stage of the job runs, as far as is known.
    pub(super) fn stands_still(&self, view: &JobView) -> bool {
        let runs = |job: &v1::Job| {
            let mut runs = job.stage_runs.iter();
            runs.any(|run| run.state() == State::Running)
        };
        self.format == Format::Table && view.job().is_some_and(|job| !runs(job))
    }

    /// Prints what the job waits for, once until that changes. If the service does not respond,
    /// it is asked again.
    pub(super) async fn tell(&mut self, client: &Client, job_id: &str) {
        let answer = timeout(ANSWER_WITHIN, watch::get(client, job_id)).await;
        self.due = Instant::now() + PATIENCE;
        let Ok(Ok(job)) = answer else {
            return;
        };
        let lines = lines(&job);
        for line in lines.iter().filter(|line| !self.told.contains(line)) {
            out::notice(line);
        }
        self.told = lines;
    }
}

/// One line for each stage that waits for something other than another stage.
fn lines(job: &v1::Job) -> Vec<String> {
    use PendingReason::{Needs, Unspecified};
    let waits = |run: &&v1::StageRun| {
        matches!(run.state(), State::Pending | State::Queued)
            && !matches!(run.pending_reason(), Needs | Unspecified)
    };
    let runs = job.stage_runs.iter().filter(waits);
    runs.map(|run| {
        format!(
            "[{}] waits: {}",
            labels::run_name(run),
            labels::run_detail(run)
        )
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(name: &str, state: State, reason: PendingReason) -> v1::StageRun {
        v1::StageRun {
            stage_name: name.into(),
            attempt: 2,
            state: state.into(),
            pending_reason: reason.into(),
            ..Default::default()
        }
    }

    #[test]
    fn only_waits_for_more_than_stages_are_shown() {
        let told = lines(&v1::Job {
            stage_runs: vec![
                run("done", State::Succeeded, PendingReason::Unspecified),
                run("now", State::Queued, PendingReason::Unspecified),
                run("odd", State::Queued, PendingReason::NoMatchingRunner),
                run("image", State::Queued, PendingReason::NoCapableRunner),
                run("next", State::Pending, PendingReason::Needs),
                run("late", State::Pending, PendingReason::Concurrency),
            ],
            ..Default::default()
        });
        assert_eq!(
            told,
            [
                "[odd #2] waits: no matching runner",
                "[image #2] waits: no connected runner with its labels supports its action",
                "[late #2] waits: another job of the pipeline is active"
            ]
        );
    }
}
