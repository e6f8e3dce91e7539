//! Jobs: those that wait for a runner, those that are over, and those of one pipeline.

use futures_util::{StreamExt, stream};
use pipewright::proto::v1;

use crate::{clients::Ours, crowds::stage, jobs::Client, mode::Mode, player::Player, usage};

use super::{
    Group,
    calls::{self, DELETE, GET, GET_JOB, LIST_JOBS, TRIGGER},
};

/// Jobs of a pipeline, where the number of jobs grows with that of pipelines.
const PER_PIPELINE: usize = 100;
/// More than any of this needs.
const FLAGS: [&str; 4] = [
    "--max-queued-stages",
    "4000000",
    "--max-active-jobs",
    "1000000",
];
const CONCURRENCY: usize = 16;

pub(super) async fn queued(sizes: &[usize], mode: Mode) -> Group {
    let mut world = World::new().await;
    let mut group = Group::new("queued", "queued jobs of one stage", sizes);
    for &size in sizes {
        world.queue(size).await;
        group.memory.push(world.memory_each(size));
        world.measure(&mut group, mode).await;
    }
    group
}

pub(super) async fn ended(sizes: &[usize], mode: Mode) -> Group {
    let mut world = World::new().await;
    let mut group = Group::new("ended", "jobs that are over and kept", sizes);
    let mut over = 0;
    for &size in sizes {
        world.queue(size - over).await;
        let gone = std::mem::take(&mut world.pipelines);
        calls::all(&world.ours, DELETE, gone.into_iter().map(delete));
        over = size;
        group.memory.push(world.memory_each(size));
        // Some waiting jobs, to measure claims.
        world.queue(10 * PER_PIPELINE).await;
        world.measure(&mut group, mode).await;
    }
    group
}

pub(super) async fn of_one_pipeline(sizes: &[usize], mode: Mode) -> Group {
    let mut world = World::new().await;
    let mut group = Group::new("one-pipeline", "queued jobs of one pipeline", sizes);
    world.add_pipelines(1).await;
    let mut queued = 0;
    for &size in sizes {
        let id = world.pipelines[0].clone();
        calls::all(&world.ours, TRIGGER, (queued..size).map(|_| trigger(&id)));
        queued = size;
        group.memory.push(world.memory_each(size));
        world.measure(&mut group, mode).await;
    }
    group
}

/// A service with jobs, and a simulated runner.
struct World {
    ours: Ours,
    client: Client,
    player: Player,
    pipelines: Vec<String>,
    made: usize,
    idle: u64,
}

impl World {
    async fn new() -> Self {
        let ours = Ours::open(&FLAGS);
        let client = Client::of(ours.channel());
        let player = Player::register(ours.channel(), 64).await;
        // Lazily created state now exists.
        client.create("first", vec![stage("s", "true")]).await;
        Self {
            idle: usage::memory(ours.server.id()),
            ours,
            client,
            player,
            pipelines: Vec::new(),
            made: 0,
        }
    }

    fn memory_each(&self, size: usize) -> f64 {
        (usage::memory(self.ours.server.id()) - self.idle) as f64 / size as f64
    }

    async fn add_pipelines(&mut self, count: usize) {
        let client = &self.client;
        let names = (self.made..self.made + count).map(super::pipelines::name);
        let created = names.map(async |name| client.create(&name, vec![stage("s", "true")]).await);
        let created: Vec<_> = stream::iter(created).buffered(CONCURRENCY).collect().await;
        self.pipelines.extend(created);
        self.made += count;
    }

    /// Queues jobs until there are `jobs` in all.
    async fn queue(&mut self, jobs: usize) {
        let known = self.pipelines.len();
        self.add_pipelines(jobs.div_ceil(PER_PIPELINE) - known)
            .await;
        let new = &self.pipelines[known..];
        let each = (0..PER_PIPELINE).flat_map(|_| new).map(|id| trigger(id));
        calls::all(&self.ours, TRIGGER, each);
    }

    async fn measure(&mut self, group: &mut Group, mode: Mode) {
        let Self {
            ours,
            client,
            player,
            pipelines,
            ..
        } = self;
        let sample = |count: usize| {
            let spread = (0..count).map(|part| part * pipelines.len() / count);
            spread
                .map(|number| pipelines[number].clone())
                .collect::<Vec<_>>()
        };
        let few = mode.of(480, 96);
        let many = mode.of(10_000, 200);
        let newest: Vec<_> = client.newest_jobs(50).await;
        let get = || {
            (0..many)
                .map(|call| get_job(&newest[call % newest.len()]))
                .collect()
        };
        group.add("GetJob", calls::cost(ours, GET_JOB, get));
        let get = || sample(many).into_iter().map(get_pipeline).collect();
        group.add("GetPipeline", calls::cost(ours, GET, get));
        let list = || vec![page(&[], ""); few];
        group.add("ListJobs, 50", calls::cost(ours, LIST_JOBS, list));
        let states = [v1::job::State::Queued, v1::job::State::Running];
        let list = || vec![page(&states, ""); few];
        group.add(
            "ListJobs, 50 that are active",
            calls::cost(ours, LIST_JOBS, list),
        );
        let list = || sample(few).iter().map(|id| page(&[], id)).collect();
        group.add(
            "ListJobs, 50 of a pipeline",
            calls::cost(ours, LIST_JOBS, list),
        );
        let new = || sample(few).iter().map(|id| trigger(id)).collect();
        group.add("TriggerPipeline", calls::cost(ours, TRIGGER, new));
        // As many stages as were triggered.
        let cost = calls::cost_of(ours, few, async || player.play(few, CONCURRENCY).await).await;
        group.add("claim, confirm and complete a stage", cost);
    }
}

fn trigger(id: &str) -> v1::TriggerPipelineRequest {
    v1::TriggerPipelineRequest {
        pipeline_id: id.to_owned(),
        ..Default::default()
    }
}

fn delete(pipeline_id: String) -> v1::DeletePipelineRequest {
    v1::DeletePipelineRequest {
        pipeline_id,
        force: true,
        ..Default::default()
    }
}

fn get_pipeline(pipeline_id: String) -> v1::GetPipelineRequest {
    v1::GetPipelineRequest {
        pipeline_id,
        revision: 0,
    }
}

fn get_job(id: &str) -> v1::GetJobRequest {
    v1::GetJobRequest {
        job_id: id.to_owned(),
    }
}

fn page(states: &[v1::job::State], pipeline_id: &str) -> v1::ListJobsRequest {
    v1::ListJobsRequest {
        page_size: 50,
        pipeline_id: pipeline_id.to_owned(),
        states: states.iter().map(|state| (*state).into()).collect(),
        ..Default::default()
    }
}
