use std::sync::Arc;

use crate::domain::{self, Job, JobId, RunnerId, StageRun, StageState};

use super::{Batch, DueWrite, JobWrite, LeaseWrite, Write};

/// Learns of every commit in the process, as part of the commit: whatever a caller does
/// meanwhile, nobody who waits for a change is forgotten. It must not block, nor ask the
/// store anything: that may hold locks meanwhile, to keep the order of the changes.
pub trait CommitSubscriber: Send + Sync + 'static {
    /// A commit is durable and can be read.
    fn committed(&self, committed: &Committed);
}

/// What a commit changed.
#[derive(Debug, Default)]
pub struct Committed {
    /// The changes, in the order of the batch's writes.
    pub changes: Vec<Change>,
}

/// One change, as others are told of it.
#[derive(Debug)]
pub enum Change {
    /// A job has new events.
    Job(JobChange),
    /// A lease has ended: its runner has room, or has less to do.
    LeaseEnded(RunnerId),
    /// A lease may be due earlier than it was.
    LeaseDue,
    /// A stage that nobody had announced may be had: it was given back, or its job was
    /// unbound; or a runner may have what it could not before.
    Runners,
    /// A job is bound to a runner no more: its workspace is gone.
    WorkspaceLost(JobId),
    /// There is work of a kind.
    Due(&'static str),
    /// A record of a collection was written or removed.
    Record(&'static str),
}

/// New events of a job.
#[derive(Debug)]
pub struct JobChange {
    /// The job after them.
    pub job: Arc<Job>,
    /// The first of them made the job.
    pub is_new: bool,
    /// The last of them ended it.
    pub is_over: bool,
    /// Stage runs that they changed but for their progress, each as it became; in order.
    pub runs: Vec<Arc<StageRun>>,
}

impl JobChange {
    /// What a write means to others.
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
    /// What a batch will have changed once it is committed.
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
            // The store knows whose lease it was, and adds that.
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
