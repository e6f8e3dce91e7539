//! A job as its watch tells it: a pure fold over the messages of `WatchJob`.

use crate::proto::v1::{self, job_event::Change, watch_job_response::Payload};

/// What is known of a job, and up to which event.
#[derive(Debug, Default)]
pub(crate) struct JobView {
    job: Option<v1::Job>,
    last_sequence: Option<i64>,
}

/// What a message did to the view.
#[derive(Debug, PartialEq)]
pub(crate) enum Progress {
    /// A snapshot took the place of all that was known.
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

    /// The job, once a message has told it.
    pub(crate) fn job(&self) -> Option<&v1::Job> {
        self.job.as_ref()
    }

    /// The event to resume after; none before the first message.
    pub(crate) fn last_sequence(&self) -> Option<i64> {
        self.last_sequence
    }

    /// The job, if it is over.
    pub(crate) fn ended(&self) -> Option<&v1::Job> {
        self.job().filter(|job| is_over(job))
    }

    /// Takes in one message.
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

    /// Puts the job, as it was read, in the place of what is known.
    pub(crate) fn replace(&mut self, job: v1::Job) -> Progress {
        self.last_sequence = Some(job.last_sequence);
        self.job = Some(job);
        Progress::Replaced
    }

    fn seen(&self) -> i64 {
        self.last_sequence.unwrap_or(0)
    }

    /// Takes the events that follow what was seen. Those after a gap are left:
    /// the next message, or the end of the stream, shows the gap again.
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
    match events.is_empty() {
        true => nothing,
        false => Progress::Advanced(events),
    }
}

/// Changes the job as the event says.
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
