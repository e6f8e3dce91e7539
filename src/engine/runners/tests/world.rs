//! An engine, and runners that a test controls.

use std::{path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use tempfile::TempDir;
use uuid::Uuid;

use crate::{
    auth::{Authority, Grants, Principal, Role},
    blobs::logs::{Durability, FileLogs, LogLimits, LogStore},
    domain::lease::{
        Completion, Directive, Lease, LeaseProof, LogAppend, Registration, Report, WorkRequest,
    },
    domain::{
        ActionKind, Job, JobId, Offer, Outcome, PendingReason, PipelineSpec, RunCondition,
        RunnerId, SessionId, Stage, StageAction, StageState, StageType, Variables,
    },
    engine::{Call, Clock, Engine, Settings, SystemClock, TriggerRequest, UuidV7},
    engine::{LeaseError, Leases, PrincipalLeases},
    store::{MemoryStore, Store},
};

pub(super) const TTL: Duration = Duration::from_secs(30);
pub(super) const SECOND: Duration = Duration::from_secs(1);
const LOG_LIMITS: LogLimits = LogLimits {
    of_a_log: 1_000_000,
    in_total: 1_000_000_000,
};

pub(super) struct World {
    pub(super) engine: Arc<Engine>,
    logs: TempDir,
}

pub(super) fn stage(name: &str) -> Stage {
    Stage {
        name: name.to_owned(),
        stage_type: StageType::Run,
        action: StageAction::Command("true".to_owned()),
        timeout: Duration::from_secs(600),
        needs: Vec::new(),
        run_condition: RunCondition::OnSuccess,
        variables: Variables::new(),
        runner_labels: Variables::new(),
        working_directory: String::new(),
    }
}

impl World {
    pub(super) async fn new() -> Self {
        Self::on(Arc::new(MemoryStore::default())).await
    }

    /// On a store that may have been used before.
    pub(super) async fn on(store: Arc<dyn Store>) -> Self {
        Self::with_clock(store, Arc::new(SystemClock)).await
    }

    pub(super) async fn with_clock(store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Self {
        let (logs, directory) = Self::logs();
        Self::of(store, clock, Arc::new(logs), directory).await
    }

    /// With logs that a test has changed, in their directory.
    pub(super) async fn with_logs(
        store: Arc<dyn Store>,
        logs: Arc<dyn LogStore>,
        directory: TempDir,
    ) -> Self {
        Self::of(store, Arc::new(SystemClock), logs, directory).await
    }

    /// Logs in a directory of their own.
    pub(super) fn logs() -> (FileLogs, TempDir) {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().to_owned();
        let logs = FileLogs::open(root, LOG_LIMITS, Durability::Process).unwrap();
        (logs, directory)
    }

    /// Where the logs are.
    pub(super) fn log_directory(&self) -> &Path {
        self.logs.path()
    }

    async fn of(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        logs: Arc<dyn LogStore>,
        directory: TempDir,
    ) -> Self {
        let settings = Settings {
            retain_jobs: 10_000,
            retain_jobs_for: Duration::from_secs(3600),
            kill_grace: Duration::from_secs(10),
            lease_ttl: TTL,
            ..Settings::default()
        };
        let engine = Engine::start(store, logs, clock, Arc::new(UuidV7::default()), settings);
        Self {
            engine: engine.await.unwrap(),
            logs: directory,
        }
    }

    pub(super) async fn trigger(&self, stages: Vec<Stage>, parallel: bool) -> JobId {
        let call = caller();
        let spec = PipelineSpec {
            name: format!("p-{}", Uuid::new_v4()),
            stages: stages.into(),
            parallel,
            ..PipelineSpec::default()
        };
        let made = self
            .engine
            .pipelines()
            .create(&call, "default".to_owned(), spec, false);
        let request = TriggerRequest {
            pipeline_id: made.await.unwrap().id,
            revision: None,
            git_ref: String::new(),
            variables: Variables::new(),
            secret_variables: Default::default(),
            priority: 0,
            validate_only: false,
        };
        self.engine.jobs().trigger(&call, request).await.unwrap().id
    }

    pub(super) async fn runner(&self, capacity: usize) -> Runner {
        let mut runner = Runner {
            engine: Arc::clone(&self.engine),
            id: RunnerId(Uuid::nil()),
            session_id: SessionId(Uuid::new_v4()),
        };
        runner.register(capacity, None).await;
        runner
    }

    pub(super) fn leases(&self) -> PrincipalLeases {
        self.engine.runners().leases_of("runners")
    }

    pub(super) async fn job(&self, id: JobId) -> Arc<Job> {
        self.engine.jobs().get(&caller(), id).await.unwrap().job
    }

    /// States and attempts of a job's stage runs.
    pub(super) async fn runs(&self, id: JobId) -> Vec<(u32, StageState)> {
        let job = self.job(id).await;
        let runs = job.stage_runs.iter();
        runs.map(|run| (run.attempt, run.state)).collect()
    }

    pub(super) async fn pending_reason(&self, id: JobId) -> Option<PendingReason> {
        let view = self.engine.jobs().get(&caller(), id).await.unwrap();
        view.stages.last().unwrap().pending_reason
    }
}

pub(super) fn caller() -> Call {
    let principal = Principal {
        name: "alice".to_owned(),
        grants: Grants::everything(),
    };
    Call {
        authority: Authority {
            principal: Arc::new(principal),
            needed: Role::Viewer,
        },
        request: None,
        trace: None,
    }
}

#[derive(Clone)]
pub(super) struct Runner {
    engine: Arc<Engine>,
    pub(super) id: RunnerId,
    session_id: SessionId,
}

impl Runner {
    pub(super) fn leases(&self) -> PrincipalLeases {
        self.engine.runners().leases_of("runners")
    }

    pub(super) async fn register(&mut self, capacity: usize, runner_id: Option<RunnerId>) {
        let registration = Registration {
            display_name: "test".to_owned(),
            offer: Arc::new(Offer {
                labels: Variables::new(),
                actions: ActionKind::ALL.into(),
            }),
            capacity,
            version: "0".to_owned(),
            session_id: self.session_id,
            runner_id,
            owner: String::new(),
        };
        let registered = self.leases().register(registration).await;
        self.id = registered.unwrap().runner_id;
    }

    /// The same runner in a new process.
    pub(super) async fn restarted(&self) -> Self {
        let mut again = Self {
            session_id: SessionId(Uuid::new_v4()),
            ..self.clone()
        };
        again.register(1, Some(self.id)).await;
        again
    }

    pub(super) async fn ask(
        &self,
        request_id: Uuid,
        wait: Duration,
    ) -> Result<Option<Lease>, LeaseError> {
        let request = WorkRequest {
            runner_id: self.id,
            session_id: self.session_id,
            request_id,
            max_wait: wait,
            held_jobs: Vec::new(),
            leaving: false,
        };
        let acquired = self.leases().acquire(request).await?;
        Ok(acquired.lease)
    }

    pub(super) async fn take(&self, wait: Duration) -> Option<Lease> {
        self.ask(Uuid::new_v4(), wait).await.unwrap()
    }

    pub(super) async fn renew(&self, proof: LeaseProof) -> Result<Directive, LeaseError> {
        let none = Report::default();
        let leases = self.leases();
        let renewed = leases.renew(proof, none, Directive::Continue, Duration::ZERO);
        Ok(renewed.await?.directive)
    }

    /// A lease that is confirmed.
    pub(super) async fn started(&self, wait: Duration) -> Lease {
        let lease = self.take(wait).await.unwrap();
        self.renew(lease.proof).await.unwrap();
        lease
    }

    pub(super) async fn complete(
        &self,
        proof: LeaseProof,
        outcome: Outcome,
    ) -> Result<(), LeaseError> {
        let completion = Completion {
            outcome,
            exit_code: None,
            message: String::new(),
            log_size: 0,
            log_incomplete: false,
            commit_id: None,
        };
        self.leases().complete(proof, completion).await
    }

    pub(super) async fn all_writes_are_refused(&self, proof: LeaseProof) {
        let append = LogAppend {
            offset: 0,
            dropped: 0,
            data: Bytes::from_static(b"x"),
        };
        let appended = self.leases().append_log(proof, append).await;
        assert!(matches!(appended, Err(LeaseError::Lost)), "{appended:?}");
        let completed = self.complete(proof, Outcome::Succeeded).await;
        assert!(matches!(completed, Err(LeaseError::Lost)), "{completed:?}");
        let renewed = self.renew(proof).await;
        assert!(matches!(renewed, Err(LeaseError::Lost)), "{renewed:?}");
    }
}
