//! What the service does: loads a scope, decides purely, commits, and wakes those
//! who wait for it. Knows nothing of how it is called.

mod access;
mod commit;
mod environment;
mod error;
mod feed;
mod housekeeping;
mod jobs;
mod leases;
mod pipelines;
mod runners;
mod seam;
mod signals;
mod stage_log;
mod stats;
mod tasks;
mod watch;

use std::{
    sync::{Arc, Weak, atomic::AtomicI64},
    time::{Duration, SystemTime},
};

use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    auth::Authority,
    blobs::logs::LogStore,
    domain::{PipelineId, TraceContext},
    store::Store,
};

pub use crate::blobs::logs::GapReason;

pub use environment::{Clock, IdSource, SystemClock, UuidV7};
pub use error::Error;
pub use jobs::{JobView, StageView, TriggerRequest};
pub use pipelines::Update;
pub use runners::{RunnerView, RunningStage};
pub use seam::{LeaseError, LeaseRefusal, Leases};
pub use stage_log::{LogPiece, LogRequest, StageLog};
pub use stats::Stats;
pub use tasks::{TaskState, TaskStatus, Tasks};
pub use watch::{Opening, Watch};

use leases::{LeaseTable, Waiters};
use signals::Signals;

/// The service without its network side.
pub struct Engine {
    /// For tasks that outlive the call that starts them.
    me: Weak<Engine>,
    store: Arc<dyn Store>,
    logs: Arc<dyn LogStore>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
    settings: Settings,
    signals: Arc<Signals>,
    leases: LeaseTable,
    /// The next lease's fencing token.
    next_token: AtomicI64,
    /// Runners that wait for work.
    waiters: Waiters,
    /// Wakes who waits for all jobs to end: one has, or there is another one.
    jobs_changed: Notify,
    /// Pipelines of which it may be a waiting job's turn.
    turns: mpsc::UnboundedSender<PipelineId>,
    /// Wakes whoever forgets jobs.
    retention: Arc<Notify>,
    /// No new jobs and no new leases.
    stopping: CancellationToken,
    /// Streams end, telling their readers to come back.
    closing: CancellationToken,
}

/// What the engine is told to do otherwise than by callers.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Ended jobs that are kept; beyond it the oldest go first.
    pub retain_jobs: usize,
    /// How long an ended job is kept at least.
    pub retain_jobs_for: Duration,
    /// Time between the polite and the sure kill of a stage.
    pub kill_grace: Duration,
    /// Lifetime of a lease; a runner renews it every third of that.
    pub lease_ttl: Duration,
    /// Active jobs of one pipeline.
    pub max_active_jobs: usize,
    /// Stages that wait for a runner, in the whole service.
    pub max_queued_stages: usize,
    /// Runners that are known.
    pub max_runners: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            retain_jobs: 10_000,
            retain_jobs_for: Duration::from_secs(60 * 60),
            kill_grace: Duration::from_secs(10),
            lease_ttl: Duration::from_secs(30),
            max_active_jobs: 1_000,
            max_queued_stages: 100_000,
            max_runners: 10_000,
        }
    }
}

/// Who calls, and whether the call may be a repetition.
#[derive(Clone, Debug)]
pub struct Call {
    /// Who calls, and what for.
    pub authority: Authority,
    /// Set when the caller gave a request id.
    pub request: Option<RequestIdentity>,
    /// The trace that the call is part of.
    pub trace: Option<Arc<TraceContext>>,
}

impl Call {
    /// Name of the caller.
    fn principal(&self) -> &str {
        &self.authority.principal.name
    }
}

/// Tells a repeated call from another one.
#[derive(Clone, Copy, Debug)]
pub struct RequestIdentity {
    /// The id that the caller chose.
    pub id: Uuid,
    /// Hash of the request.
    pub fingerprint: [u8; 32],
}

impl Engine {
    /// An engine on a store, and the tasks that keep house until the engine is dropped.
    pub fn start(
        store: Arc<dyn Store>,
        logs: Arc<dyn LogStore>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdSource>,
        settings: Settings,
    ) -> Arc<Self> {
        let (turns, todo) = mpsc::unbounded_channel();
        let retention = Arc::new(Notify::new());
        let first_token = leases::first_token(clock.now());
        let leases = LeaseTable::new(settings.lease_ttl);
        let due = Arc::clone(&leases.changed);
        let engine = Arc::new_cyclic(|me| Self {
            me: Weak::clone(me),
            store,
            logs,
            clock,
            ids,
            settings,
            signals: Arc::new(Signals::new(Arc::clone(&retention))),
            leases,
            next_token: AtomicI64::new(first_token),
            waiters: Waiters::default(),
            jobs_changed: Notify::new(),
            turns,
            retention: Arc::clone(&retention),
            stopping: CancellationToken::new(),
            closing: CancellationToken::new(),
        });
        tokio::spawn(housekeeping::admit(Arc::downgrade(&engine), todo));
        tokio::spawn(housekeeping::retain(Arc::downgrade(&engine), retention));
        tokio::spawn(leases::expire(Arc::downgrade(&engine), due));
        engine
    }

    /// Ends once open streams have to end.
    pub async fn closing(&self) {
        self.closing.cancelled().await;
    }

    fn now(&self) -> SystemTime {
        self.clock.now()
    }
}
