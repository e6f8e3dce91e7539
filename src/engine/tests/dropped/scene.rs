use std::collections::BTreeMap;

use uuid::Uuid;

use crate::{
    domain::{
        ConcurrencyPolicy, JobId, Outcome, PipelineId, PipelineSpec, Stage, lease::LeaseProof,
    },
    engine::{
        Call,
        tests::world::{Runner, World, repeatable, spec},
    },
};

/// The objects of a call, and those who are notified of it.
pub(super) struct Scene {
    /// Always with the same request id.
    pub(super) call: Call,
    /// The request id for a runner's call.
    pub(super) request_id: Uuid,
    pub(super) pipeline: Option<PipelineId>,
    /// The watched job.
    pub(super) job: Option<JobId>,
    /// The runner that makes the call, if a runner does.
    pub(super) runner: Option<Runner>,
    pub(super) proof: Option<LeaseProof>,
    /// A runner that waits for work.
    pub(super) waiting: Option<Runner>,
}

impl Scene {
    pub(super) fn empty() -> Self {
        Self {
            call: repeatable(),
            request_id: Uuid::new_v4(),
            pipeline: None,
            job: None,
            runner: None,
            proof: None,
            waiting: None,
        }
    }

    /// A pipeline of these stages.
    pub(super) async fn of(world: &World, stages: &[&str], policy: ConcurrencyPolicy) -> Self {
        let made = world.create(spec(stages, policy)).await.unwrap();
        Self {
            pipeline: Some(made.id),
            ..Self::empty()
        }
    }

    /// Its first stage runs.
    pub(super) async fn running(world: &World, stages: &[&str], policy: ConcurrencyPolicy) -> Self {
        let scene = Self::offered(world, stages, policy).await;
        scene.runner().renew(scene.proof()).await.unwrap();
        scene
    }

    /// Its first stage was assigned, but not started.
    pub(super) async fn offered(world: &World, stages: &[&str], policy: ConcurrencyPolicy) -> Self {
        let scene = Self::of(world, stages, policy).await.triggered(world).await;
        let runner = world.runner("holder", 2).await;
        let lease = runner.take(std::time::Duration::ZERO).await.unwrap();
        Self {
            runner: Some(runner),
            proof: Some(lease.proof),
            ..scene
        }
    }

    /// A job that no runner can run, of a pipeline whose next jobs any runner can run.
    pub(super) async fn stuck(world: &World, policy: ConcurrencyPolicy) -> Self {
        let nowhere = |stage: &Stage| Stage {
            runner_labels: BTreeMap::from([("os".to_owned(), "none".to_owned())]),
            ..stage.clone()
        };
        let spec = spec(&["s"], policy);
        let spec = PipelineSpec {
            stages: spec.stages.iter().map(nowhere).collect(),
            ..spec
        };
        let made = world.create(spec).await.unwrap();
        let scene = Self {
            pipeline: Some(made.id),
            ..Self::empty()
        };
        let scene = scene.triggered(world).await;
        world.run_anywhere(made.id).await;
        scene
    }

    /// The watched job is a new one of the pipeline.
    pub(super) async fn triggered(self, world: &World) -> Self {
        let job = world.trigger(self.pipeline()).await.unwrap().id;
        Self {
            job: Some(job),
            ..self
        }
    }

    /// One more job of the pipeline, which waits.
    pub(super) async fn and_another(self, world: &World) -> Self {
        world.trigger(self.pipeline()).await.unwrap();
        self
    }

    pub(super) async fn ended(self, outcome: Outcome) -> Self {
        let ended = self.runner().complete(self.proof(), outcome).await;
        ended.unwrap();
        self
    }

    /// An idle runner waits.
    pub(super) async fn and_a_runner_waits(self, world: &World) -> Self {
        Self {
            waiting: Some(world.runner("waiting", 1).await),
            ..self
        }
    }

    /// The runner itself waits for more.
    pub(super) fn and_it_waits(self) -> Self {
        Self {
            waiting: self.runner.clone(),
            ..self
        }
    }

    pub(super) fn pipeline(&self) -> PipelineId {
        self.pipeline.expect("the case has a pipeline")
    }

    pub(super) fn job(&self) -> JobId {
        self.job.expect("the case has a job")
    }

    pub(super) fn runner(&self) -> &Runner {
        self.runner.as_ref().expect("the case has a runner")
    }

    pub(super) fn proof(&self) -> LeaseProof {
        self.proof.expect("the case has a lease")
    }
}
