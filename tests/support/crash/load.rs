//! Clients that change everything that can be changed, until the service dies.

use std::sync::Arc;

use pipewright::proto::v1;
use prost_types::FieldMask;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tonic::transport::Channel;
use uuid::Uuid;

use super::{
    World,
    calls::{Answer, Call, is_unclear},
    stages::Kind,
};

/// Jobs that a client starts in a round and that run something.
const RUN_IN_A_ROUND: usize = 1;

pub(crate) struct Client {
    number: usize,
    names: usize,
    chance: StdRng,
    channel: Channel,
    /// Its pipelines, which no other client changes.
    pipelines: Vec<String>,
    jobs: Vec<String>,
}

impl Client {
    pub(crate) fn new(world: &World, number: usize, seed: u64) -> Self {
        Self {
            number,
            names: 0,
            chance: StdRng::seed_from_u64(seed),
            channel: world.gateway.channel(),
            pipelines: Vec::new(),
            jobs: Vec::new(),
        }
    }

    /// Makes calls until one is not answered.
    pub(crate) async fn work(mut self, world: Arc<World>) -> Self {
        self.settle(&world);
        let mut run = 0;
        loop {
            let call = self.next(&world, &mut run);
            match call.make(&self.channel).await {
                Ok(answer) => {
                    self.note(&call, &answer);
                    world.ledger.lock().acknowledge(call, answer);
                }
                Err(status) if is_unclear(&status) => {
                    world.ledger.lock().unclear.push(call);
                    return self;
                }
                Err(_) if call.may_be_refused() => {}
                Err(status) => panic!("{call:?}: {status:?}"),
            }
        }
    }

    /// Takes over what became of its last call.
    fn settle(&mut self, world: &World) {
        let ledger = world.ledger.lock();
        let prefix = format!("-{}-", self.number);
        let own = ledger.pipelines.values();
        let own = own.filter(|pipeline| pipeline.name.contains(&prefix));
        self.pipelines = own.map(|pipeline| pipeline.id.clone()).collect();
    }

    fn next(&mut self, world: &World, run: &mut usize) -> Call {
        let request_id = Uuid::new_v4().to_string();
        if self.pipelines.len() < 4 {
            return self.create(world, request_id);
        }
        match self.chance.random_range(0..10) {
            0 => self.create(world, request_id),
            1 | 2 => {
                let pipeline = v1::Pipeline {
                    id: self.any_pipeline(),
                    annotations: [("revised".to_owned(), request_id.clone())].into(),
                    ..Default::default()
                };
                Call::Update(v1::UpdatePipelineRequest {
                    pipeline: Some(pipeline),
                    update_mask: Some(FieldMask {
                        paths: vec!["annotations".to_owned()],
                    }),
                    request_id,
                    ..Default::default()
                })
            }
            3 => {
                let position = self.chance.random_range(0..self.pipelines.len());
                Call::Delete(v1::DeletePipelineRequest {
                    pipeline_id: self.pipelines.swap_remove(position),
                    force: true,
                    request_id,
                    ..Default::default()
                })
            }
            4 | 5 if !self.jobs.is_empty() => {
                let position = self.chance.random_range(0..self.jobs.len());
                let job_id = self.jobs.swap_remove(position);
                Call::Cancel(v1::CancelJobRequest {
                    job_id,
                    reason: "it may".to_owned(),
                })
            }
            6 if !self.jobs.is_empty() && *run < RUN_IN_A_ROUND => {
                *run += 1;
                let position = self.chance.random_range(0..self.jobs.len());
                let mut retry = v1::RetryJobRequest {
                    job_id: self.jobs[position].clone(),
                    request_id,
                    ..Default::default()
                };
                retry.set_scope(v1::retry_job_request::Scope::AllStages);
                Call::Retry(retry)
            }
            _ => self.trigger(world, request_id, run),
        }
    }

    fn create(&mut self, world: &World, request_id: String) -> Call {
        self.names += 1;
        let kind = Kind::any(&mut self.chance);
        let name = format!("{}-{}-{}", kind.prefix(), self.number, self.names);
        Call::Create(v1::CreatePipelineRequest {
            pipeline: Some(kind.pipeline(name, &world.mark, &world.ran)),
            request_id,
            ..Default::default()
        })
    }

    fn trigger(&mut self, world: &World, request_id: String, run: &mut usize) -> Call {
        let pipeline_id = self.any_pipeline();
        let is_idle = {
            let ledger = world.ledger.lock();
            Kind::of(&ledger.pipelines[&pipeline_id].name) == Kind::Idle
        };
        if !is_idle {
            if *run >= RUN_IN_A_ROUND {
                return self.create(world, request_id);
            }
            *run += 1;
        }
        let pause = f64::from(self.chance.random_range(0..8_u32)) / 10.0;
        Call::Trigger(v1::TriggerPipelineRequest {
            pipeline_id,
            variables: [("PAUSE".to_owned(), pause.to_string())].into(),
            request_id,
            ..Default::default()
        })
    }

    fn any_pipeline(&mut self) -> String {
        let position = self.chance.random_range(0..self.pipelines.len());
        self.pipelines[position].clone()
    }

    fn note(&mut self, call: &Call, answer: &Answer) {
        match (call, answer) {
            (Call::Create(_), Answer::Pipeline(pipeline)) => {
                self.pipelines.push(pipeline.id.clone());
            }
            (Call::Trigger(_) | Call::Retry(_), Answer::Job(job)) => {
                // Most jobs are never cancelled.
                let kind = Kind::of(&job.pipeline_name);
                if self
                    .chance
                    .random_bool(if kind == Kind::Idle { 0.8 } else { 0.2 })
                {
                    self.jobs.push(job.id.clone());
                }
            }
            _ => {}
        }
    }
}
