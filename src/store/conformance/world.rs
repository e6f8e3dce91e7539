//! Pipelines and jobs for the rules.

use std::{
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use uuid::Uuid;

use crate::domain::{
    ActionKind, CancelCause, Cancellation, Command, FencingToken, Holder, Job, JobId, LogSummary,
    NewJob, Offer, Outcome, Pipeline, PipelineId, PipelineSpec, RunKey, RunnerId, Stage,
    StageAction, StageResult, StageRun, StageType, Trigger, TriggerSource, Variables, create,
    decide, limits,
};

use super::super::{Batch, CommitError, JobWrite, PipelineWrite, ReadyStage, Store, Write};

/// Where pipelines that have a ref are checked out from.
pub(in crate::store) const REPOSITORY: &str = "https://example.com/app.git";

/// Collections of records that the rules use.
pub(in crate::store) const COLLECTIONS: [&str; 2] = ["things", "projects"];
pub(in crate::store) const KINDS: [&str; 2] = ["work", "other"];

/// When the rules' leases are requested.
pub(in crate::store) const ASKED: u64 = 100;
/// When those expire unless they are confirmed.
pub(in crate::store) const OFFERED_UNTIL: u64 = 130;
/// When confirmed ones expire unless they are renewed.
pub(in crate::store) const CONFIRMED_UNTIL: u64 = 160;
/// The deadline that the service sets for each stage.
pub(in crate::store) const ENDS_BY: u64 = 1_000;

/// Anything that dereferences to a store.
pub(in crate::store) trait AnyStore: Deref<Target = dyn Store> + Sync {}

impl<T: Deref<Target = dyn Store> + Sync> AnyStore for T {}

pub(in crate::store) fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 + seconds)
}

pub(in crate::store) fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

pub(in crate::store) fn job_id(number: u128) -> JobId {
    JobId(id(number))
}

pub(in crate::store) fn runner_id(number: u128) -> RunnerId {
    RunnerId(id(number))
}

/// An id that no other call returns.
pub(in crate::store) fn fresh() -> Uuid {
    static NEXT: AtomicU64 = AtomicU64::new(1 << 32);
    id(NEXT.fetch_add(1, Ordering::Relaxed).into())
}

pub(in crate::store) fn pipeline_with(
    number: u128,
    name: &str,
    project: &str,
    spec: PipelineSpec,
) -> Arc<Pipeline> {
    let stages = if spec.stages.is_empty() {
        vec![stage("a", &[]), stage("b", &[])].into()
    } else {
        spec.stages
    };
    let spec = PipelineSpec {
        name: name.to_owned(),
        stages,
        ..spec
    };
    let id = PipelineId(id(number));
    let made = Pipeline::new(id, project.to_owned(), spec, "alice".to_owned(), at(0));
    Arc::new(made.expect("a valid spec"))
}

pub(in crate::store) fn pipeline(number: u128, name: &str) -> Arc<Pipeline> {
    pipeline_with(number, name, "default", PipelineSpec::default())
}

/// A pipeline with independent stages, one for each of these labels.
pub(in crate::store) fn parallel(number: u128, labels: &[&[(&str, &str)]]) -> Arc<Pipeline> {
    let stages = ["a", "b", "c", "d"].into_iter().zip(labels);
    let spec = PipelineSpec {
        stages: stages.map(|(name, labels)| stage(name, labels)).collect(),
        parallel: true,
        ..PipelineSpec::default()
    };
    pipeline_with(number, &format!("p{number}"), "default", spec)
}

pub(in crate::store) fn stage(name: &str, labels: &[(&str, &str)]) -> Stage {
    Stage {
        name: name.to_owned(),
        stage_type: StageType::Run,
        action: StageAction::Command("true".to_owned()),
        timeout: limits::DEFAULT_TIMEOUT,
        needs: Vec::new(),
        run_condition: Default::default(),
        variables: Default::default(),
        runner_labels: label_map(labels),
        working_directory: String::new(),
    }
}

pub(in crate::store) fn label_map(labels: &[(&str, &str)]) -> Variables {
    labels
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect()
}

pub(in crate::store) fn offer(labels: &[(&str, &str)]) -> Arc<Offer> {
    Arc::new(Offer {
        labels: label_map(labels),
        actions: ActionKind::ALL.into(),
    })
}

pub(in crate::store) fn write(pipeline: PipelineWrite) -> Batch {
    Batch::of([Write::Pipeline(pipeline)])
}

pub(in crate::store) fn job_batch(write: JobWrite) -> Batch {
    Batch::of([Write::Job(write)])
}

pub(in crate::store) fn new_job(
    pipeline: &Arc<Pipeline>,
    number: u128,
    priority: i32,
    time: SystemTime,
) -> JobWrite {
    let of_pipeline = i64::try_from(number).unwrap();
    numbered_job(pipeline, number, of_pipeline, priority, time)
}

pub(in crate::store) fn numbered_job(
    pipeline: &Arc<Pipeline>,
    of_id: u128,
    number: i64,
    priority: i32,
    time: SystemTime,
) -> JobWrite {
    made_job(pipeline, of_id, number, priority, time, true)
}

/// A job that waits for its turn.
pub(in crate::store) fn held_job(pipeline: &Arc<Pipeline>, number: i64) -> JobWrite {
    let of_id = u128::try_from(number).unwrap();
    made_job(pipeline, of_id, number, 0, at(1), false)
}

fn made_job(
    pipeline: &Arc<Pipeline>,
    of_id: u128,
    number: i64,
    priority: i32,
    time: SystemTime,
    is_admitted: bool,
) -> JobWrite {
    let new = NewJob {
        id: job_id(of_id),
        pipeline: Arc::clone(pipeline),
        git_ref: String::new(),
        commit_id: String::new(),
        trigger: Trigger {
            source: TriggerSource::Api,
            principal: "alice".to_owned(),
            trace: None,
        },
        variables: Default::default(),
        secret_variables: [("TOKEN", "open sesame")].into_iter().collect(),
        priority,
        retried_job_id: None,
        weights: Vec::new(),
        stage_runs: (0..pipeline.spec.stages.len())
            .map(StageRun::pending)
            .collect(),
    };
    let decision = create(new, number, is_admitted, time);
    JobWrite {
        job: Arc::new(decision.job),
        events: decision.events,
    }
}

pub(in crate::store) fn decided(job: &Job, command: Command, time: SystemTime) -> JobWrite {
    let decision = decide(job, command, time).expect("a command that is possible");
    JobWrite {
        job: Arc::new(decision.job),
        events: decision.events,
    }
}

pub(in crate::store) fn cancel() -> Command {
    Command::Cancel(Cancellation {
        cause: CancelCause::Requested,
        reason: String::new(),
        principal: "alice".to_owned(),
    })
}

/// A start without a lease.
pub(in crate::store) fn start(stage: usize) -> Command {
    Command::Start {
        run: RunKey { stage, attempt: 1 },
        holder: Holder {
            runner_id: RunnerId(Uuid::nil()),
            token: FencingToken(1),
        },
    }
}

pub(in crate::store) fn finish(run: RunKey, token: FencingToken, outcome: Outcome) -> Command {
    let result = StageResult {
        outcome,
        exit_code: None,
        message: String::new(),
        log: LogSummary::default(),
    };
    Command::Finish { run, token, result }
}

pub(in crate::store) async fn stored(
    store: &impl AnyStore,
    pipeline: &Arc<Pipeline>,
) -> Arc<Pipeline> {
    let create = PipelineWrite::Create(Arc::clone(pipeline));
    store.commit(write(create)).await.unwrap();
    Arc::clone(pipeline)
}

/// Adds a job at the pipeline's present version.
pub(in crate::store) async fn add_job(store: &impl AnyStore, job: JobWrite) -> Arc<Job> {
    let pipeline_id = job.job.pipeline.id;
    let version = store.pipeline(pipeline_id).await.unwrap().unwrap().version;
    let added = Arc::clone(&job.job);
    let batch = [
        Write::Pipeline(PipelineWrite::AddJob(pipeline_id, version)),
        Write::Job(job),
    ];
    store.commit(Batch::of(batch)).await.unwrap();
    added
}

pub(in crate::store) async fn job(store: &impl AnyStore, id: JobId) -> Arc<Job> {
    store.job(id).await.unwrap().expect("a job that is kept")
}

pub(in crate::store) async fn tell(
    store: &impl AnyStore,
    id: JobId,
    command: Command,
    time: SystemTime,
) {
    let write = decided(&*job(store, id).await, command, time);
    store.commit(job_batch(write)).await.unwrap();
}

pub(in crate::store) async fn end_job(store: &impl AnyStore, id: JobId, time: SystemTime) {
    tell(store, id, cancel(), time).await;
}

/// Ends a job of which a stage ran.
pub(in crate::store) async fn end_after_running(
    store: &impl AnyStore,
    id: JobId,
    time: SystemTime,
) {
    let started = time - Duration::from_secs(1);
    tell(store, id, start(0), started).await;
    end_job(store, id, time).await;
    let (stage, attempt) = (0, 1);
    let run = RunKey { stage, attempt };
    let end = finish(run, FencingToken(1), Outcome::Cancelled);
    tell(store, id, end, time).await;
}

pub(in crate::store) fn is_conflict(result: Result<(), CommitError>) -> bool {
    matches!(result, Err(CommitError::Conflict))
}

pub(in crate::store) fn nth(job: u128, stage: usize) -> ReadyStage {
    let (job_id, attempt) = (job_id(job), 1);
    let run = RunKey { stage, attempt };
    ReadyStage { job_id, run }
}
