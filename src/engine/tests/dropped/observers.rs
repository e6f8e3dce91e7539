use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
};

use tokio::{task::JoinSet, time::sleep};
use uuid::Uuid;

use crate::{
    domain::{JobId, JobState, PipelineId, StageState},
    engine::{
        Error, Jobs,
        tests::world::{SECOND, World, caller},
    },
    store::{JobFilter, JobStore, LeaseStore, ReadyStage},
};

use super::Scene;

/// Those who wait for the changes of a call.
pub(super) struct Observers {
    watch: Option<(JobId, Arc<Watched>)>,
    /// A runner waits for work and has not got any.
    waits: Arc<AtomicBool>,
    _tasks: JoinSet<()>,
}

/// How far a watch has come.
#[derive(Default)]
struct Watched {
    cursor: AtomicI64,
    is_over: AtomicBool,
}

impl Observers {
    pub(super) fn start(world: &World, scene: &Scene) -> Self {
        let mut tasks = JoinSet::new();
        let watch = scene.job.map(|id| (id, Arc::<Watched>::default()));
        if let Some((id, watched)) = &watch {
            let jobs = Arc::clone(world.engine.jobs());
            tasks.spawn(watch_job(jobs, *id, Arc::clone(watched)));
        }
        let waits = Arc::new(AtomicBool::new(scene.waiting.is_some()));
        if let Some(runner) = scene.waiting.clone() {
            let waits = Arc::clone(&waits);
            tasks.spawn(async move {
                // The lease stays an offer for the duration of a case.
                let request_id = Uuid::new_v4();
                while runner.ask(request_id, 50 * SECOND).await.is_err() {
                    sleep(SECOND / 10).await;
                }
                waits.store(false, Ordering::SeqCst);
            });
        }
        Self {
            watch,
            waits,
            _tasks: tasks,
        }
    }

    /// Checks that all waiters were notified of all changes.
    pub(super) async fn check(&mut self, world: &World) -> Result<(), String> {
        self.check_watch(world).await?;
        if self.waits.load(Ordering::SeqCst) && waiting_stages(world).await > 0 {
            return Err("a runner waits, and so does a stage that it may have".to_owned());
        }
        check_turns(world).await
    }

    async fn check_watch(&self, world: &World) -> Result<(), String> {
        let Some((id, watched)) = &self.watch else {
            return Ok(());
        };
        let cursor = watched.cursor.load(Ordering::SeqCst);
        let job = world.store.job(*id).await.unwrap();
        let job = job.ok_or("the watched job is gone")?;
        if cursor != job.last_sequence {
            let newest = job.last_sequence;
            return Err(format!("the watch is at {cursor}, and the job at {newest}"));
        }
        if watched.is_over.load(Ordering::SeqCst) != job.state.is_terminal() {
            return Err(format!(
                "the watch does not fit a job that is {:?}",
                job.state
            ));
        }
        Ok(())
    }
}

/// Watches a job, and resumes after an error.
async fn watch_job(jobs: Arc<Jobs>, id: JobId, watched: Arc<Watched>) {
    while watch_on(&jobs, id, &watched).await.is_err() {
        sleep(SECOND / 10).await;
    }
    watched.is_over.store(true, Ordering::SeqCst);
}

async fn watch_on(jobs: &Arc<Jobs>, id: JobId, watched: &Watched) -> Result<(), Error> {
    let last_seen = watched.cursor.load(Ordering::SeqCst);
    let (_, mut watch) = jobs.watch(&caller(), id, Some(last_seen)).await?;
    while !watch.is_over() {
        while watch.take().await?.is_some() {
            watched.cursor.store(watch.cursor(), Ordering::SeqCst);
        }
        if !watch.is_over() {
            watch.changed().await;
        }
    }
    Ok(())
}

/// Ready stages that are not assigned and need nothing that a runner lacks; none
/// while runners are drained.
async fn waiting_stages(world: &World) -> usize {
    let runners = world.store.list_runners(None, 10).await.unwrap();
    if runners.iter().any(|runner| runner.row.is_draining) {
        return 0;
    }
    let leases = runners.iter().flat_map(|runner| &runner.leases);
    let given: Vec<_> = leases.map(|lease| lease.stage).collect();
    let jobs = world
        .store
        .list_jobs(&JobFilter::default(), None, 100)
        .await;
    let mut waiting = 0;
    for job in jobs.unwrap() {
        let ready = job.stage_runs.iter().filter(|run| {
            let stage = ReadyStage {
                job_id: job.id,
                run: run.key(),
            };
            run.state == StageState::Queued
                && job.stage(run).runner_labels.is_empty()
                && !given.contains(&stage)
        });
        waiting += ready.count();
    }
    waiting
}

/// The oldest active job of each pipeline has begun.
async fn check_turns(world: &World) -> Result<(), String> {
    let jobs = world
        .store
        .list_jobs(&JobFilter::default(), None, 100)
        .await;
    let mut oldest = BTreeMap::<PipelineId, _>::new();
    // The list is newest first.
    for job in jobs.unwrap() {
        if !job.state.is_terminal() {
            oldest.insert(job.pipeline.id, job);
        }
    }
    for job in oldest.values() {
        let is_pending = job
            .stage_runs
            .iter()
            .all(|run| run.state == StageState::Pending);
        if job.state == JobState::Queued && is_pending {
            return Err(format!("job {} waits, and it is its turn", job.number));
        }
    }
    Ok(())
}
