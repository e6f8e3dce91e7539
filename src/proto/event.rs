//! The events of `job_service.proto`.

use crate::domain::{Change, Event, Job};

use super::{
    job::{attempt_to_proto, job_summary_to_proto, job_to_proto, stage_run_to_proto},
    time::time_to_proto,
    v1,
};

/// Converts an event. `job` is the job after the event.
pub fn event_to_proto(job: &Job, event: &Event) -> v1::JobEvent {
    use v1::job_event::Change as Wire;
    let Event {
        sequence,
        time,
        progress_percent,
        change,
    } = event;
    let change = match change {
        Change::Created(_) => Wire::JobCreated(v1::JobCreated {
            job: Some(job_to_proto(job)),
        }),
        Change::Started | Change::CommitResolved(_) | Change::Cancelling(_) => {
            Wire::JobChanged(v1::JobChanged {
                job: Some(job_summary_to_proto(job)),
            })
        }
        Change::StageRunChanged(run) => Wire::StageRunChanged(v1::StageRunChanged {
            stage_run: Some(stage_run_to_proto(job, run)),
        }),
        Change::StageProgressed { run, percent } => {
            let run = job
                .run(*run)
                .expect("an event names a run that the job has");
            Wire::StageProgressed(v1::StageProgressed {
                stage_name: job.stage(run).name.clone(),
                attempt: attempt_to_proto(run.attempt),
                progress_percent: i32::from(*percent),
            })
        }
        Change::Ended { .. } => Wire::JobEnded(v1::JobEnded {
            job: Some(job_to_proto(job)),
        }),
    };
    v1::JobEvent {
        sequence: *sequence,
        time: Some(time_to_proto(*time)),
        progress_percent: i32::from(*progress_percent),
        change: Some(change),
    }
}
