//! The events of `job_service.proto`.

use crate::domain::{Change, Event, Job};

use super::{
    job::{job_summary_to_proto, job_to_proto, stage_run_to_proto},
    time::time_to_proto,
    v1,
};

/// An event as watchers see it. `job` is the job after the event.
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
            job: Some(job_to_proto(job, &[])),
        }),
        Change::Started | Change::CommitResolved(_) | Change::Cancelling(_) => {
            Wire::JobChanged(v1::JobChanged {
                job: Some(job_summary_to_proto(job)),
            })
        }
        Change::StageRunChanged(run) => Wire::StageRunChanged(v1::StageRunChanged {
            stage_run: Some(stage_run_to_proto(job, run)),
        }),
        Change::Ended { .. } => Wire::JobEnded(v1::JobEnded {
            job: Some(job_to_proto(job, &[])),
        }),
    };
    v1::JobEvent {
        sequence: *sequence,
        time: Some(time_to_proto(*time)),
        progress_percent: i32::from(*progress_percent),
        change: Some(change),
    }
}
