//! The state of a watched job: a pure fold over the messages of `WatchJob`.

use crate::proto::v1::{self, job_event::Change, watch_job_response::Payload};

/// The known state of a job, and the event up to which it is known.
#[derive(Debug, Default)]
pub(crate) struct JobView {
    job: Option<v1::Job>,
    last_sequence: Option<i64>,
}

/// The effect of a message on the view.
#[derive(Debug, PartialEq)]
pub(crate) enum Progress {
    /// A snapshot replaced the known state.
    Replaced,
    /// These events were new, in order; at least one.
    Advanced(Vec<v1::JobEvent>),
    /// Nothing was new.
    Idle,
    /// Events are missing: watch again from the last one seen.
    Gap,
}

impl JobView {
    /// A view that has seen the events up to this one, but not the job.
    pub(crate) fn after(last_sequence: i64) -> Self {
        Self {
            job: None,
            last_sequence: Some(last_sequence),
        }
    }

    /// The job; none before the first message.
    pub(crate) fn job(&self) -> Option<&v1::Job> {
        self.job.as_ref()
    }

    /// The event to resume after; none before the first message.
    pub(crate) fn last_sequence(&self) -> Option<i64> {
        self.last_sequence
    }

    /// The job, if it has ended.
    pub(crate) fn ended(&self) -> Option<&v1::Job> {
        self.job().filter(|job| is_over(job))
    }

    /// Applies a message.
    pub(crate) fn apply(&mut self, message: v1::WatchJobResponse) -> Progress {
        match message.payload {
            Some(Payload::Snapshot(v1::JobSnapshot { job: Some(job), .. })) => self.replace(job),
            Some(Payload::Events(batch)) => self.advance(batch.events),
            Some(Payload::Heartbeat(heartbeat)) if heartbeat.last_sequence > self.seen() => {
                Progress::Gap
            }
            _ => Progress::Idle,
        }
    }

    /// Replaces the known state by the job as it was read.
    pub(crate) fn replace(&mut self, job: v1::Job) -> Progress {
        self.last_sequence = Some(job.last_sequence);
        self.job = Some(job);
        Progress::Replaced
    }

    fn seen(&self) -> i64 {
        self.last_sequence.unwrap_or(0)
    }

    /// Applies the events that follow the last one. Events after a gap are ignored: the next
    /// message, or the end of the stream, shows the gap again.
    fn advance(&mut self, events: Vec<v1::JobEvent>) -> Progress {
        let mut new = Vec::new();
        for event in events {
            let next = self.seen() + 1;
            if event.sequence > next {
                return advanced_or(new, Progress::Gap);
            }
            if event.sequence == next {
                self.last_sequence = Some(next);
                fold(&mut self.job, &event);
                new.push(event);
            }
        }
        advanced_or(new, Progress::Idle)
    }
}

fn advanced_or(events: Vec<v1::JobEvent>, nothing: Progress) -> Progress {
    if events.is_empty() {
        nothing
    } else {
        Progress::Advanced(events)
    }
}

/// Applies an event to the job.
fn fold(known: &mut Option<v1::Job>, event: &v1::JobEvent) {
    match (&event.change, known.as_mut()) {
        (Some(Change::JobCreated(v1::JobCreated { job: Some(job) })), _)
        | (Some(Change::JobEnded(v1::JobEnded { job: Some(job) })), _) => {
            *known = Some(job.clone());
        }
        (Some(Change::JobChanged(v1::JobChanged { job: Some(changed) })), Some(job)) => {
            let stage_runs = std::mem::take(&mut job.stage_runs);
            *job = changed.clone();
            job.stage_runs = stage_runs;
        }
        (
            Some(Change::StageRunChanged(v1::StageRunChanged {
                stage_run: Some(run),
            })),
            Some(job),
        ) => {
            put(&mut job.stage_runs, run);
        }
        (Some(Change::StageProgressed(progressed)), Some(job)) => advance_stage(job, progressed),
        _ => {}
    }
    if let Some(job) = known {
        job.progress_percent = event.progress_percent;
        job.last_sequence = event.sequence;
    }
}

/// Replaces the stage run, or adds it after the stage's earlier attempts.
fn put(runs: &mut Vec<v1::StageRun>, run: &v1::StageRun) {
    let last_of_stage = runs
        .iter()
        .rposition(|known| known.stage_name == run.stage_name);
    match find(runs, &run.stage_name, run.attempt) {
        Some(known) => *known = run.clone(),
        None => runs.insert(last_of_stage.map_or(runs.len(), |at| at + 1), run.clone()),
    }
}

fn advance_stage(job: &mut v1::Job, progressed: &v1::StageProgressed) {
    let runs = &mut job.stage_runs;
    if let Some(run) = find(runs, &progressed.stage_name, progressed.attempt) {
        run.progress_percent = progressed.progress_percent;
    }
}

fn find<'a>(
    runs: &'a mut [v1::StageRun],
    stage: &str,
    attempt: i32,
) -> Option<&'a mut v1::StageRun> {
    let mut runs = runs.iter_mut();
    runs.find(|run| run.stage_name == stage && run.attempt == attempt)
}

fn is_over(job: &v1::Job) -> bool {
    use v1::job::State;
    matches!(
        job.state(),
        State::Succeeded | State::Failed | State::Cancelled
    )
}

#[cfg(test)]
mod tests;
