//! What callers see of a store that cannot do its work, and that nothing is half done.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use pipewright::{
    auth::{Authority, Grants, Principal, Role},
    blobs::logs::{Durability, FileLogs, LogLimits},
    domain::{
        ActionKind, Bindings, Event, Job, JobId, Offer, Pipeline, PipelineId, PipelineSpec,
        RunnerId, SessionId, Stage, StageAction, StageState, limits,
    },
    engine::{Call, Engine, Error, Settings, SystemClock, TriggerRequest, UuidV7},
    runner::{
        Directive, Lease, LeaseError, LeaseProof, Leases, Registration, Renewed, Report,
        WorkRequest,
    },
    store::{
        Batch, Claim, CommitError, JobFilter, KeptAnswer, MemoryStore, PipelineFilter,
        PipelineState, ReadyStage, RequestKey, Store, StoreError,
    },
};
use tempfile::TempDir;
use tokio::time::sleep;
use tonic::{Code, Status, async_trait};
use uuid::Uuid;

use crate::service::refusal;

const TTL: Duration = Duration::from_secs(30);

/// A memory store that fails while it is broken, and lets others go first while it is
/// slow.
#[derive(Default)]
struct Failing {
    inner: MemoryStore,
    is_broken: AtomicBool,
    /// Milliseconds that each call takes.
    takes: AtomicU64,
}

impl Failing {
    async fn check(&self) -> Result<(), StoreError> {
        let takes = self.takes.load(Ordering::SeqCst);
        if takes > 0 {
            sleep(Duration::from_millis(takes)).await;
        }
        match self.is_broken.load(Ordering::SeqCst) {
            true => Err(StoreError("the disk is on fire".to_owned())),
            false => Ok(()),
        }
    }
}

#[async_trait]
impl Store for Failing {
    async fn pipeline(&self, id: PipelineId) -> Result<Option<PipelineState>, StoreError> {
        self.check().await?;
        self.inner.pipeline(id).await
    }

    async fn active_jobs(&self, id: PipelineId) -> Result<Vec<JobId>, StoreError> {
        self.check().await?;
        self.inner.active_jobs(id).await
    }

    async fn revision(
        &self,
        id: PipelineId,
        revision: i64,
    ) -> Result<Option<Arc<Pipeline>>, StoreError> {
        self.check().await?;
        self.inner.revision(id, revision).await
    }

    async fn list_pipelines(
        &self,
        filter: &PipelineFilter,
        before: Option<PipelineId>,
        limit: usize,
    ) -> Result<Vec<Arc<Pipeline>>, StoreError> {
        self.check().await?;
        self.inner.list_pipelines(filter, before, limit).await
    }

    async fn job(&self, id: JobId) -> Result<Option<Arc<Job>>, StoreError> {
        self.check().await?;
        self.inner.job(id).await
    }

    async fn events(&self, id: JobId, after: i64) -> Result<Option<Vec<Event>>, StoreError> {
        self.check().await?;
        self.inner.events(id, after).await
    }

    async fn list_jobs(
        &self,
        filter: &JobFilter,
        before: Option<JobId>,
        limit: usize,
    ) -> Result<Vec<Arc<Job>>, StoreError> {
        self.check().await?;
        self.inner.list_jobs(filter, before, limit).await
    }

    async fn answer(&self, key: &RequestKey) -> Result<Option<KeptAnswer>, StoreError> {
        self.check().await?;
        self.inner.answer(key).await
    }

    async fn commit(&self, batch: Batch) -> Result<(), CommitError> {
        self.check().await?;
        self.inner.commit(batch).await
    }

    async fn claim(&self, claim: &Claim) -> Result<Option<ReadyStage>, StoreError> {
        self.check().await?;
        self.inner.claim(claim).await
    }

    async fn unclaim(&self, stage: ReadyStage) -> Result<(), StoreError> {
        self.check().await?;
        self.inner.unclaim(stage).await
    }

    async fn bindings(&self, id: JobId) -> Result<Bindings, StoreError> {
        self.check().await?;
        self.inner.bindings(id).await
    }

    async fn bound_jobs(&self, runner_id: RunnerId) -> Result<Vec<JobId>, StoreError> {
        self.check().await?;
        self.inner.bound_jobs(runner_id).await
    }

    async fn unbind(&self, id: JobId, runner_id: RunnerId) -> Result<(), StoreError> {
        self.check().await?;
        self.inner.unbind(id, runner_id).await
    }

    async fn head_of_queue(&self) -> Result<Option<ReadyStage>, StoreError> {
        self.check().await?;
        self.inner.head_of_queue().await
    }

    async fn ready_stages(&self) -> Result<usize, StoreError> {
        self.check().await?;
        self.inner.ready_stages().await
    }

    async fn expired_jobs(
        &self,
        keep: usize,
        ended_before: SystemTime,
    ) -> Result<Vec<JobId>, StoreError> {
        self.check().await?;
        self.inner.expired_jobs(keep, ended_before).await
    }

    async fn remove_job(&self, id: JobId) -> Result<(), StoreError> {
        self.check().await?;
        self.inner.remove_job(id).await
    }
}

fn spec() -> PipelineSpec {
    let stage = Stage {
        name: "s".to_owned(),
        stage_type: Default::default(),
        action: StageAction::Command("true".to_owned()),
        timeout: limits::DEFAULT_TIMEOUT,
        needs: Vec::new(),
        run_condition: Default::default(),
        variables: Default::default(),
        runner_labels: Default::default(),
        working_directory: String::new(),
    };
    PipelineSpec {
        name: "p".to_owned(),
        stages: vec![stage].into(),
        ..PipelineSpec::default()
    }
}

struct World {
    store: Arc<Failing>,
    engine: Arc<Engine>,
    call: Call,
    _logs: TempDir,
}

impl World {
    fn new() -> Self {
        let logs = tempfile::tempdir().unwrap();
        let store = Arc::new(Failing::default());
        let limits = LogLimits {
            of_a_log: 1_000,
            in_total: 1_000,
        };
        let engine = Engine::start(
            store.clone(),
            Arc::new(FileLogs::open(logs.path().to_owned(), limits, Durability::Process).unwrap()),
            Arc::new(SystemClock),
            Arc::new(UuidV7::default()),
            Settings {
                retain_jobs: 10,
                retain_jobs_for: Duration::from_secs(60),
                kill_grace: Duration::from_secs(1),
                lease_ttl: TTL,
                ..Settings::default()
            },
        );
        let call = Call {
            authority: Authority {
                principal: Arc::new(Principal {
                    name: "somebody".to_owned(),
                    grants: Grants::everything(),
                }),
                needed: Role::Admin,
            },
            request: None,
            trace: None,
        };
        Self {
            store,
            engine,
            call,
            _logs: logs,
        }
    }

    fn broken(&self, is_broken: bool) {
        self.store.is_broken.store(is_broken, Ordering::SeqCst);
    }

    fn slow(&self, milliseconds: u64) {
        self.store.takes.store(milliseconds, Ordering::SeqCst);
    }

    async fn create(&self, spec: PipelineSpec) -> Result<Arc<Pipeline>, Error> {
        let project = "default".to_owned();
        let created = self
            .engine
            .create_pipeline(&self.call, project, spec, false);
        created.await
    }

    async fn trigger(&self, pipeline_id: PipelineId) -> Result<Arc<Job>, Error> {
        let request = TriggerRequest {
            pipeline_id,
            revision: None,
            git_ref: String::new(),
            variables: Default::default(),
            secret_variables: Default::default(),
            priority: 0,
            validate_only: false,
        };
        self.engine.trigger_pipeline(&self.call, request).await
    }

    /// A job with one stage, or with as many of that kind at once.
    async fn job(&self, stages: usize) -> JobId {
        let one = spec();
        let named = |number| Stage {
            name: format!("s{number}"),
            ..one.stages[0].clone()
        };
        let spec = PipelineSpec {
            stages: (0..stages).map(named).collect(),
            parallel: true,
            ..one.clone()
        };
        let pipeline = self.create(spec).await.unwrap();
        self.trigger(pipeline.id).await.unwrap().id
    }

    async fn runner(&self, capacity: usize) -> WorkRequest {
        let session_id = SessionId(Uuid::new_v4());
        let registration = Registration {
            display_name: "test".to_owned(),
            offer: Arc::new(Offer {
                labels: Default::default(),
                actions: ActionKind::ALL.into(),
            }),
            capacity,
            version: "0".to_owned(),
            session_id,
            runner_id: None,
            owner: String::new(),
        };
        let registered = self.engine.register(registration).await.unwrap();
        WorkRequest {
            runner_id: registered.runner_id,
            session_id,
            request_id: Uuid::nil(),
            max_wait: Duration::from_secs(50),
            held_jobs: Vec::new(),
            leaving: false,
        }
    }

    async fn ask(&self, runner: &WorkRequest) -> Result<Option<Lease>, LeaseError> {
        let request = WorkRequest {
            request_id: Uuid::new_v4(),
            ..runner.clone()
        };
        Ok(self.engine.acquire(request).await?.lease)
    }

    async fn take(&self, runner: &WorkRequest) -> Lease {
        self.ask(runner).await.unwrap().unwrap()
    }

    async fn renew(&self, proof: LeaseProof) -> Result<Renewed, LeaseError> {
        let (report, known) = (Report::default(), Directive::Continue);
        let renewed = self.engine.renew(proof, report, known, Duration::ZERO);
        renewed.await
    }

    async fn states(&self, job: JobId) -> Vec<StageState> {
        let job = self.engine.get_job(&self.call, job).await.unwrap().job;
        job.stage_runs.iter().map(|run| run.state).collect()
    }
}

#[tokio::test]
async fn a_store_that_fails_is_told_and_changes_nothing() {
    let world = World::new();
    world.broken(true);
    let failed = world.create(spec()).await;
    assert!(matches!(failed, Err(Error::Store(_))));
    let told = refusal(failed.map_err(Status::from));
    assert_eq!(told, (Code::Internal, "STORE_FAILED".to_owned(), vec![]));
    world.broken(false);
    // The name was not taken by what failed.
    let pipeline = world.create(spec()).await.unwrap();

    world.broken(true);
    let failed = world.trigger(pipeline.id).await;
    assert!(matches!(failed, Err(Error::Store(_))));
    world.broken(false);
    assert_eq!(world.trigger(pipeline.id).await.unwrap().number, 1);
}

#[tokio::test(start_paused = true)]
async fn confirmations_that_overlap_are_one() {
    let world = World::new();
    let job = world.job(1).await;
    let runner = world.runner(1).await;
    let proof = world.take(&runner).await.proof;
    world.slow(10);
    let (one, other) = tokio::join!(world.renew(proof), world.renew(proof));
    assert!(one.is_ok() && other.is_ok(), "{one:?} {other:?}");
    world.slow(0);
    assert_eq!(world.states(job).await, [StageState::Running]);
    world.renew(proof).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_confirmation_that_comes_too_late_leaves_no_stage_without_a_lease() {
    let world = World::new();
    let job = world.job(1).await;
    let (first, second) = (world.runner(1).await, world.runner(1).await);
    let proof = world.take(&first).await.proof;
    sleep(TTL / 2 - Duration::from_millis(500)).await;
    // In time when it comes in, and too late when the stage is started.
    world.slow(300);
    let confirmed = world.renew(proof).await;
    assert!(matches!(confirmed, Err(LeaseError::Lost)), "{confirmed:?}");
    world.slow(0);
    let again = world.take(&second).await;
    world.renew(again.proof).await.unwrap();
    assert_eq!(world.states(job).await.last(), Some(&StageState::Running));
}

#[tokio::test(start_paused = true)]
async fn what_was_claimed_is_not_lost_with_the_store() {
    let world = World::new();
    world.job(1).await;
    let runner = world.runner(1).await;
    world.slow(10);
    let breaks = async {
        // The claim is the first call; what follows it fails, and so does the way back.
        sleep(Duration::from_millis(15)).await;
        world.broken(true);
    };
    let (asked, ()) = tokio::join!(world.ask(&runner), breaks);
    assert!(matches!(asked, Err(LeaseError::Failed(_))), "{asked:?}");
    world.broken(false);
    world.slow(0);
    assert!(world.ask(&runner).await.unwrap().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_job_stays_with_the_runner_that_still_has_one_of_its_stages() {
    let world = World::new();
    world.job(3).await;
    let (first, second) = (world.runner(2).await, world.runner(2).await);
    world.take(&first).await;
    sleep(TTL / 4).await;
    let later = world.take(&first).await.proof;
    // The first one was never confirmed.
    sleep(TTL / 3).await;
    world.renew(later).await.unwrap();
    let elsewhere = world.ask(&second);
    let none = tokio::time::timeout(TTL / 2, elsewhere).await;
    assert!(none.is_err(), "it has no workspace of the job: {none:?}");
}
