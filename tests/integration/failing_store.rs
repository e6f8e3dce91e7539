//! What callers see of a store that cannot do its work, and that nothing is half done.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use pipewright::{
    domain::{
        Bindings, Event, Job, JobId, Pipeline, PipelineId, PipelineSpec, RunnerId, Stage, limits,
    },
    engine::{Call, Engine, Error, Settings, SystemClock, TriggerRequest, UuidV7},
    store::{
        Batch, Claim, CommitError, JobFilter, KeptAnswer, MemoryStore, PipelineFilter,
        PipelineState, ReadyStage, RequestKey, Store, StoreError,
        logs::{FileLogs, LogLimits},
    },
};
use tonic::{Code, Status, async_trait};

use crate::service::refusal;

/// A memory store that fails while it is broken.
#[derive(Default)]
struct Failing {
    inner: MemoryStore,
    is_broken: AtomicBool,
}

impl Failing {
    fn check(&self) -> Result<(), StoreError> {
        match self.is_broken.load(Ordering::SeqCst) {
            true => Err(StoreError("the disk is on fire".to_owned())),
            false => Ok(()),
        }
    }
}

#[async_trait]
impl Store for Failing {
    async fn pipeline(&self, id: PipelineId) -> Result<Option<PipelineState>, StoreError> {
        self.check()?;
        self.inner.pipeline(id).await
    }

    async fn revision(
        &self,
        id: PipelineId,
        revision: i64,
    ) -> Result<Option<Arc<Pipeline>>, StoreError> {
        self.check()?;
        self.inner.revision(id, revision).await
    }

    async fn list_pipelines(
        &self,
        filter: &PipelineFilter,
        before: Option<PipelineId>,
        limit: usize,
    ) -> Result<Vec<Arc<Pipeline>>, StoreError> {
        self.check()?;
        self.inner.list_pipelines(filter, before, limit).await
    }

    async fn job(&self, id: JobId) -> Result<Option<Arc<Job>>, StoreError> {
        self.check()?;
        self.inner.job(id).await
    }

    async fn events(&self, id: JobId, after: i64) -> Result<Option<Vec<Arc<Event>>>, StoreError> {
        self.check()?;
        self.inner.events(id, after).await
    }

    async fn list_jobs(
        &self,
        filter: &JobFilter,
        before: Option<JobId>,
        limit: usize,
    ) -> Result<Vec<Arc<Job>>, StoreError> {
        self.check()?;
        self.inner.list_jobs(filter, before, limit).await
    }

    async fn answer(&self, key: &RequestKey) -> Result<Option<KeptAnswer>, StoreError> {
        self.check()?;
        self.inner.answer(key).await
    }

    async fn commit(&self, batch: Batch) -> Result<(), CommitError> {
        self.check()?;
        self.inner.commit(batch).await
    }

    async fn claim(&self, claim: &Claim) -> Result<Option<ReadyStage>, StoreError> {
        self.check()?;
        self.inner.claim(claim).await
    }

    async fn unclaim(&self, stage: ReadyStage) -> Result<(), StoreError> {
        self.check()?;
        self.inner.unclaim(stage).await
    }

    async fn bindings(&self, id: JobId) -> Result<Bindings, StoreError> {
        self.check()?;
        self.inner.bindings(id).await
    }

    async fn bound_jobs(&self, runner_id: RunnerId) -> Result<Vec<JobId>, StoreError> {
        self.check()?;
        self.inner.bound_jobs(runner_id).await
    }

    async fn unbind(&self, id: JobId, runner_id: RunnerId) -> Result<(), StoreError> {
        self.check()?;
        self.inner.unbind(id, runner_id).await
    }

    async fn ready_stages(&self) -> Result<usize, StoreError> {
        self.check()?;
        self.inner.ready_stages().await
    }

    async fn expired_jobs(
        &self,
        keep: usize,
        ended_before: SystemTime,
    ) -> Result<Vec<JobId>, StoreError> {
        self.check()?;
        self.inner.expired_jobs(keep, ended_before).await
    }

    async fn remove_job(&self, id: JobId) -> Result<(), StoreError> {
        self.check()?;
        self.inner.remove_job(id).await
    }
}

fn spec() -> PipelineSpec {
    let stage = Stage {
        name: "s".to_owned(),
        stage_type: Default::default(),
        command: "true".to_owned(),
        timeout: limits::DEFAULT_TIMEOUT,
        needs: Vec::new(),
        run_condition: Default::default(),
        variables: Default::default(),
        runner_labels: Default::default(),
        working_directory: String::new(),
    };
    PipelineSpec {
        name: "p".to_owned(),
        stages: vec![stage],
        ..PipelineSpec::default()
    }
}

#[tokio::test]
async fn a_store_that_fails_is_told_and_changes_nothing() {
    let logs = tempfile::tempdir().unwrap();
    let store = Arc::new(Failing::default());
    let limits = LogLimits {
        of_a_log: 1_000,
        in_total: 1_000,
    };
    let engine = Engine::start(
        store.clone(),
        FileLogs::new(logs.path().to_owned(), limits).unwrap(),
        Arc::new(SystemClock),
        Arc::new(UuidV7::default()),
        Settings {
            retain_jobs: 10,
            retain_jobs_for: Duration::from_secs(60),
            kill_grace: Duration::from_secs(1),
            lease_ttl: Duration::from_secs(30),
        },
    );
    let call = Call {
        principal: "somebody".to_owned(),
        request: None,
    };
    let create = || engine.create_pipeline(&call, "default".to_owned(), spec(), false);
    let broken = |is_broken| store.is_broken.store(is_broken, Ordering::SeqCst);

    broken(true);
    let failed = create().await;
    assert!(matches!(failed, Err(Error::Store(_))));
    let told = refusal(failed.map_err(Status::from));
    assert_eq!(told, (Code::Internal, "STORE_FAILED".to_owned(), vec![]));
    broken(false);
    // The name was not taken by what failed.
    let pipeline = create().await.unwrap();

    let trigger = || {
        let request = TriggerRequest {
            pipeline_id: pipeline.id,
            revision: None,
            git_ref: String::new(),
            variables: Default::default(),
            secret_variables: Default::default(),
            priority: 0,
            validate_only: false,
        };
        engine.trigger_pipeline(&call, request)
    };
    broken(true);
    assert!(matches!(trigger().await, Err(Error::Store(_))));
    broken(false);
    assert_eq!(trigger().await.unwrap().number, 1);
}
