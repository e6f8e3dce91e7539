use std::sync::Arc;

use crate::domain::{self, Job, JobId, RunnerId, StageRun, StageState};

use super::{Batch, DueWrite, JobWrite, LeaseWrite, Write};

/// Notified of every commit in the process, as part of the commit. This does not
/// depend on what the caller does meanwhile, so every waiter is notified. It must
/// not block or call the store, which may hold locks meanwhile to keep the order of
/// the changes.
pub trait CommitSubscriber: Send + Sync + 'static {
    /// A commit is durable and can be read.
    fn committed(&self, committed: &Committed);
}

#[derive(Clone, Debug, Default)]
pub struct Committed {
    /// In the order of the batch's writes.
    pub changes: Vec<Change>,
}

/// One change, as subscribers see it.
#[derive(Clone, Debug)]
pub enum Change {
    /// A job has new events.
    Job(JobChange),
    /// A lease has ended: its runner has a free slot, or has less to do.
    LeaseEnded(RunnerId),
    /// A lease may be due earlier than before.
    LeaseDue,
    /// A stage may be available that was not announced: it was released, or its job was
    /// unbound; or a runner may take stages that it could not take before.
    Runners,
    /// The workspace of a job is gone: it is no longer bound to the runner.
    WorkspaceLost(JobId),
    /// There is work of a kind.
    Due(&'static str),
    /// A record of a collection was written or removed.
    Record(&'static str),
}

#[derive(Clone, Debug)]
pub struct JobChange {
    /// The job after the events.
    pub job: Arc<Job>,
    /// The first event created the job.
    pub is_new: bool,
    /// The last event ended it.
    pub is_over: bool,
    /// Stage runs that changed in more than their progress, each in its final state; in
    /// order.
    pub runs: Vec<Arc<StageRun>>,
}

impl JobChange {
    /// The notification for a write.
    pub fn of(write: &JobWrite) -> Self {
        let run = |event: &domain::Event| match &event.change {
            domain::Change::StageRunChanged(run) => Some(Arc::clone(run)),
            _ => None,
        };
        let ends = |event: &domain::Event| matches!(event.change, domain::Change::Ended { .. });
        Self {
            job: Arc::clone(&write.job),
            is_new: write
                .events
                .first()
                .is_some_and(|event| event.sequence == 1),
            is_over: write.events.last().is_some_and(ends),
            runs: write.events.iter().filter_map(run).collect(),
        }
    }

    /// The runs that became ready.
    pub fn ready(&self) -> impl Iterator<Item = &Arc<StageRun>> {
        self.runs
            .iter()
            .filter(|run| run.state == StageState::Queued)
    }
}

impl Committed {
    /// The notification for a batch, once it is committed.
    pub fn of(batch: &Batch) -> Self {
        let changes = batch.writes.iter().filter_map(|write| match write {
            Write::Job(write) => Some(Change::Job(JobChange::of(write))),
            Write::Lease(LeaseWrite::LoseWorkspace { job_id, .. }) => {
                Some(Change::WorkspaceLost(*job_id))
            }
            // Without that end it is due later than as an offer.
            Write::Lease(LeaseWrite::Confirm {
                expires, ends_by, ..
            }) if ends_by < expires => Some(Change::LeaseDue),
            Write::Record(write) => Some(Change::Record(write.collection())),
            Write::Due(DueWrite::Add(work)) => Some(Change::Due(work.key.kind)),
            Write::Due(DueWrite::Again(key, ..) | DueWrite::Done(key, _)) => {
                Some(Change::Due(key.kind))
            }
            // The store knows whose lease it was, and adds the notification.
            Write::Lease(
                LeaseWrite::Confirm { .. } | LeaseWrite::End { .. } | LeaseWrite::Settle { .. },
            )
            | Write::Pipeline(_)
            | Write::Facts(_)
            | Write::RemoveJob(_)
            | Write::Due(DueWrite::Cancel(_)) => None,
        });
        Self {
            changes: changes.collect(),
        }
    }
}
