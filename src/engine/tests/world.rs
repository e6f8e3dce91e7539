//! An engine on a store double.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use tempfile::TempDir;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::{
    auth::{Authority, Grants, Principal, Role},
    blobs::logs::{Durability, FileLogs, LogLimits},
    domain::{
        ConcurrencyPolicy, Job, JobId, Pipeline, PipelineId, PipelineSpec, RunCondition, Stage,
        StageAction, StageState, StageType, Variables,
    },
    engine::{
        Call, Clock, Engine, Error, MemoryLimits, RequestIdentity, Settings, TriggerRequest,
        Update, UuidV7,
    },
    store::{Lifetime, MemoryStore, double::Double},
};

pub(super) use super::runner::Runner;

pub(super) const TTL: Duration = Duration::from_secs(30);
pub(super) const SECOND: Duration = Duration::from_secs(1);
const LOG_LIMITS: LogLimits = LogLimits {
    of_a_log: 1_000_000,
    in_total: 1_000_000_000,
};

/// The wall clock of a test: it advances with tokio's time, also from one engine to
/// the next.
#[derive(Clone, Copy)]
struct TestClock(Instant);

impl Clock for TestClock {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000) + self.0.elapsed()
    }
}

pub(super) struct World {
    pub(super) store: Arc<Double>,
    pub(super) engine: Arc<Engine>,
    memory: Arc<MemoryStore>,
    clock: TestClock,
    logs: TempDir,
}

impl World {
    /// On a store that ends with the process.
    pub(super) async fn new() -> Self {
        Self::with_lifetime(Lifetime::Process).await
    }

    pub(super) async fn with_lifetime(lifetime: Lifetime) -> Self {
        Self::with(lifetime, MemoryLimits::default()).await
    }

    pub(super) async fn with_memory(limits: MemoryLimits) -> Self {
        Self::with(Lifetime::Process, limits).await
    }

    async fn with(lifetime: Lifetime, limits: MemoryLimits) -> Self {
        let clock = TestClock(Instant::now());
        let memory = MemoryStore::new(clock.now()).with_lifetime(lifetime);
        Self::on(memory, clock, tempfile::tempdir().unwrap(), limits).await
    }

    /// The service after a crash at this moment and a restart: only the commits of the
    /// store and the logs are left.
    pub(super) async fn reopened(self) -> Self {
        let Self {
            store,
            engine,
            memory,
            clock,
            logs,
        } = self;
        let snapshot = memory.snapshot();
        drop((store, engine, memory));
        // Tasks that have the logs open end with the engine, once they get to run.
        sleep(Duration::from_millis(1)).await;
        let memory = MemoryStore::restore(&snapshot).unwrap();
        Self::on(memory, clock, logs, MemoryLimits::default()).await
    }

    async fn on(
        memory: MemoryStore,
        clock: TestClock,
        logs: TempDir,
        limits: MemoryLimits,
    ) -> Self {
        let memory = Arc::new(memory);
        let store = Arc::new(Double::new(Arc::clone(&memory) as _));
        let root = logs.path().to_owned();
        let stored = FileLogs::open(root, LOG_LIMITS, Durability::Process).unwrap();
        let settings = Settings {
            lease_ttl: TTL,
            memory: limits,
            ..Settings::default()
        };
        let engine = Engine::start(
            Arc::clone(&store) as _,
            Arc::new(stored),
            Arc::new(clock),
            Arc::new(UuidV7::default()),
            settings,
        );
        Self {
            engine: engine.await.unwrap(),
            store,
            memory,
            clock,
            logs,
        }
    }

    pub(super) fn now(&self) -> SystemTime {
        self.clock.now()
    }

    pub(super) async fn create(&self, spec: PipelineSpec) -> Result<Arc<Pipeline>, Error> {
        let project = "default".to_owned();
        let pipelines = self.engine.pipelines();
        pipelines.create(&caller(), project, spec, false).await
    }

    pub(super) async fn trigger(&self, id: PipelineId) -> Result<Arc<Job>, Error> {
        let jobs = self.engine.jobs();
        jobs.trigger(&caller(), trigger_of(id)).await
    }

    /// A job of a new pipeline.
    pub(super) async fn start(&self, spec: PipelineSpec) -> JobId {
        let spec = PipelineSpec {
            name: format!("p-{}", Uuid::new_v4()),
            ..spec
        };
        let pipeline = self.create(spec).await.unwrap();
        self.trigger(pipeline.id).await.unwrap().id
    }

    /// Lets all stages of a pipeline run anywhere from the next revision on.
    pub(super) async fn run_anywhere(&self, id: PipelineId) {
        let change = |pipeline: &Pipeline| {
            let anywhere = |stage: &Stage| Stage {
                runner_labels: Variables::new(),
                ..stage.clone()
            };
            Ok(PipelineSpec {
                stages: pipeline.spec.stages.iter().map(anywhere).collect(),
                ..pipeline.spec.clone()
            })
        };
        let update = Update {
            id,
            etag: "",
            change: &change,
            validate_only: false,
        };
        let pipelines = self.engine.pipelines();
        pipelines.update(&caller(), update).await.unwrap();
    }

    pub(super) async fn runner(&self, name: &str, capacity: usize) -> Runner {
        self.runner_of("runners", name, capacity).await
    }

    /// A runner with this owner; empty for a runner of the service itself.
    pub(super) async fn runner_of(&self, owner: &str, name: &str, capacity: usize) -> Runner {
        let mut runner = Runner::new(&self.engine, owner, name, capacity);
        runner.id = Some(runner.register().await.unwrap());
        runner
    }

    pub(super) async fn job(&self, id: JobId) -> Arc<Job> {
        self.engine.jobs().get(&caller(), id).await.unwrap().job
    }

    pub(super) async fn states(&self, id: JobId) -> Vec<StageState> {
        let job = self.job(id).await;
        job.stage_runs.iter().map(|run| run.state).collect()
    }
}

/// Lets everything happen that does not wait for a lease to expire. Tasks that
/// failed once are retried within 2 s.
pub(super) async fn settle() {
    sleep(3 * SECOND).await;
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

/// Stages one after the other, under a policy.
pub(super) fn spec(stages: &[&str], concurrency_policy: ConcurrencyPolicy) -> PipelineSpec {
    PipelineSpec {
        name: "p".to_owned(),
        stages: stages.iter().map(|name| stage(name)).collect(),
        concurrency_policy,
        ..PipelineSpec::default()
    }
}

pub(super) fn trigger_of(pipeline_id: PipelineId) -> TriggerRequest {
    TriggerRequest {
        pipeline_id,
        revision: None,
        git_ref: String::new(),
        variables: Variables::new(),
        secret_variables: Default::default(),
        priority: 0,
        validate_only: false,
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

/// A call that may be repeated.
pub(super) fn repeatable() -> Call {
    let request = RequestIdentity {
        id: Uuid::new_v4(),
        fingerprint: [7; 32],
    };
    Call {
        request: Some(request),
        ..caller()
    }
}
