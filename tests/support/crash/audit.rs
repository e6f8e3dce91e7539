//! Checks what is stored against what was acknowledged.

use std::{collections::BTreeMap, sync::Arc};

use futures_util::{StreamExt, stream};
use pipewright::proto::v1::{
    self, failure::Reason, job::State as JobState, job_service_client::JobServiceClient,
    pipeline_service_client::PipelineServiceClient, stage_run::State,
};
use rand::{RngExt, rngs::StdRng};
use tokio::time;
use tonic::{Code, transport::Channel};

use super::{
    Answer, Call, PATIENCE, Summary, World,
    calls::Acknowledged,
    follow::{ReadLog, Watch},
    stages::{Attempt, Kind, LINES, Pool},
};

/// Acknowledged calls of earlier rounds that are repeated after a restart.
const OLD_CALLS: usize = 100;
/// Calls at the same time.
const CONCURRENT: usize = 16;

/// Checks everything that can be checked while jobs run.
pub(super) async fn after_restart(world: &World, chance: &mut StdRng, summary: &mut Summary) {
    let channel = world.gateway.channel();
    let old = resolve(world, &channel, summary).await;
    repeat_calls(world, &channel, old, chance, summary).await;
    check_pipelines(world, &channel).await;
    check_jobs(world, &channel).await;
    check_events(world, &channel).await;
}

/// Repeats the calls without an answer: each has its effect now, if it did not have it.
/// Returns how many calls had been acknowledged in earlier rounds.
async fn resolve(world: &World, channel: &Channel, summary: &mut Summary) -> usize {
    let unclear = std::mem::take(&mut world.ledger.lock().unclear);
    summary.unclear += unclear.len();
    for call in unclear {
        match call.make(channel).await {
            Ok(answer) => world.ledger.lock().acknowledge(call, answer),
            Err(status) if call.may_be_refused() => {
                assert!(is_refusal(status.code()), "{call:?}: {status:?}");
            }
            Err(status) => world.fail(format!("without an answer: {call:?}: {status:?}")),
        }
    }
    count_acknowledged(world, summary)
}

/// Returns how many were counted already.
fn count_acknowledged(world: &World, summary: &mut Summary) -> usize {
    let total = world.ledger.lock().acknowledged.len();
    let earlier = world.audited(total);
    summary.acknowledged += total - earlier;
    earlier
}

fn is_refusal(code: Code) -> bool {
    matches!(
        code,
        Code::FailedPrecondition | Code::NotFound | Code::Aborted
    )
}

/// Repeats what was acknowledged since the last restart, and some of what was before: the
/// answer is the same.
async fn repeat_calls(
    world: &World,
    channel: &Channel,
    old: usize,
    chance: &mut StdRng,
    summary: &mut Summary,
) {
    let calls: Vec<Acknowledged> = {
        let ledger = world.ledger.lock();
        let mut positions: Vec<usize> = (old..ledger.acknowledged.len()).collect();
        if old > 0 {
            positions.extend((0..OLD_CALLS).map(|_| chance.random_range(0..old)));
        }
        let calls = positions
            .into_iter()
            .map(|position| &ledger.acknowledged[position]);
        let idempotent = calls.filter(|(call, _)| call.is_idempotent());
        idempotent.cloned().collect()
    };
    summary.repeated += calls.len();
    let repeated = calls.into_iter().map(async |(call, answer)| {
        let again = call.make(channel).await;
        let is_gone = world.ledger.lock().is_gone(&call, &answer);
        match again {
            Ok(again) if again == answer => {}
            Err(status) if is_gone && status.code() == Code::NotFound => {}
            again => world.fail(format!(
                "lost: {call:?} was answered {answer:?}, and now {again:?}"
            )),
        }
    });
    stream::iter(repeated)
        .buffer_unordered(CONCURRENT)
        .collect::<()>()
        .await;
}

/// The pipelines are those that were acknowledged, in their newest revision.
async fn check_pipelines(world: &World, channel: &Channel) {
    let mut pipelines = PipelineServiceClient::new(channel.clone());
    let mut found = BTreeMap::new();
    let mut request = v1::ListPipelinesRequest {
        page_size: 1_000,
        ..Default::default()
    };
    loop {
        let page = pipelines.list_pipelines(request.clone()).await;
        let page = page.expect("a list").into_inner();
        for pipeline in page.pipelines {
            let id = pipeline.id.clone();
            if found.insert(id, pipeline).is_some() {
                world.fail("repeated: a pipeline is listed twice".to_owned());
            }
        }
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    let ledger = world.ledger.lock();
    for (id, wanted) in &ledger.pipelines {
        if found.get(id) != Some(wanted) {
            world.fail(format!("lost: {wanted:?} is {:?}", found.get(id)));
        }
    }
    if let Some(id) = found.keys().find(|id| !ledger.pipelines.contains_key(*id)) {
        let was_deleted = ledger.is_deleted(id);
        world.fail(format!(
            "repeated: pipeline {id} exists (deleted: {was_deleted})"
        ));
    }
}

/// The jobs are those that were acknowledged, and cancels have had their effect.
async fn check_jobs(world: &World, channel: &Channel) {
    let found = list_jobs(world, channel).await;
    let ledger = world.ledger.lock();
    for (id, known) in &ledger.jobs {
        let Some(job) = found.get(id) else {
            world.fail(format!("lost: job {id}"));
            continue;
        };
        let is_over = job.end_time.is_some() || job.state() == JobState::Cancelling;
        if known.is_cancelled && !is_over {
            world.fail(format!("lost: the cancel of {job:?}"));
        }
    }
    if let Some(job) = found
        .values()
        .find(|job| !ledger.jobs.contains_key(&job.id))
    {
        world.fail(format!("repeated: no call started {job:?}"));
    }
}

async fn list_jobs(world: &World, channel: &Channel) -> BTreeMap<String, v1::Job> {
    let mut jobs = JobServiceClient::new(channel.clone());
    let mut found = BTreeMap::new();
    let mut request = v1::ListJobsRequest {
        page_size: 1_000,
        ..Default::default()
    };
    loop {
        let page = jobs.list_jobs(request.clone()).await;
        let page = page.expect("a list").into_inner();
        for job in page.jobs {
            if found.insert(job.id.clone(), job).is_some() {
                world.fail("repeated: a job is listed twice".to_owned());
            }
        }
        if page.next_page_token.is_empty() {
            return found;
        }
        request.page_token = page.next_page_token;
    }
}

/// Reads the events of all jobs that may have changed: the history checks that they are those
/// that watchers saw before.
async fn check_events(world: &World, channel: &Channel) {
    let changing: Vec<(String, u32)> = {
        let ledger = world.ledger.lock();
        let changing = ledger.jobs.iter().filter(|(_, job)| !job.is_over);
        changing.map(|(id, job)| (id.clone(), job.number)).collect()
    };
    let checked = changing.into_iter().map(async |(id, number)| {
        let job = get(channel, &id).await;
        let mut watch = Watch::new(world, number, id);
        let watched = watch.events(world, channel, job.last_sequence).await;
        if let Err(status) = watched {
            world.fail(format!("watch of {}: {status:?}", watch.job_id));
        }
        if job.end_time.is_some()
            && let Some(known) = world.ledger.lock().jobs.get_mut(&watch.job_id)
        {
            known.is_over = true;
        }
    });
    stream::iter(checked)
        .buffer_unordered(CONCURRENT)
        .collect::<()>()
        .await;
}

async fn get(channel: &Channel, id: &str) -> v1::Job {
    let request = v1::GetJobRequest {
        job_id: id.to_owned(),
    };
    let mut jobs = JobServiceClient::new(channel.clone());
    let got = jobs.get_job(request).await.expect("it was listed");
    got.into_inner().job.expect("a job")
}

/// Waits until all jobs have ended, and checks them with their stages and logs.
pub(super) async fn at_the_end(world: &Arc<World>, summary: &mut Summary) {
    let channel = world.gateway.channel();
    let jobs: Vec<_> = world.ledger.lock().jobs.clone().into_iter().collect();
    summary.jobs += jobs.len();
    count_acknowledged(world, summary);
    let ended = jobs.into_iter().map(async |(id, known)| {
        if known.kind == Kind::Idle && !known.is_over {
            let cancel = v1::CancelJobRequest {
                job_id: id.clone(),
                ..Default::default()
            };
            let cancelled = Call::Cancel(cancel).make(&channel).await;
            assert!(matches!(cancelled, Ok(Answer::Job(_))), "{cancelled:?}");
        }
        let mut watch = Watch::new(world, known.number, id.clone());
        let watched = watch.events(world, &channel, i64::MAX);
        match time::timeout(PATIENCE, watched).await {
            Ok(Ok(())) => Some(get(&channel, &id).await),
            Ok(Err(status)) => {
                world.fail(format!("watch of {id}: {status:?}"));
                None
            }
            Err(_) => {
                let job = get(&channel, &id).await;
                world.fail(format!("it does not end: {job:?}"));
                None
            }
        }
    });
    let ended: Vec<_> = stream::iter(ended)
        .buffer_unordered(CONCURRENT)
        .collect()
        .await;
    let ran = world.ran();
    for job in ended.into_iter().flatten() {
        for run in &job.stage_runs {
            if run.carried_from_job_id.is_empty() {
                check_run(world, &channel, &job, run, &ran, summary).await;
            }
        }
    }
}

async fn check_run(
    world: &World,
    channel: &Channel,
    job: &v1::Job,
    run: &v1::StageRun,
    ran: &std::collections::BTreeSet<String>,
    summary: &mut Summary,
) {
    let attempt = Attempt {
        job: job.id.clone(),
        stage: run.stage_name.clone(),
        number: run.attempt,
    };
    let pool = Pool::of(&run.stage_name);
    let is_lost = run
        .failure
        .as_ref()
        .is_some_and(|failure| failure.reason() == Reason::RunnerLost);
    let is_cancelled = job.state() == JobState::Cancelled;
    let is_valid = match run.state() {
        State::Succeeded => true,
        State::Cancelled => is_cancelled,
        State::Skipped => is_cancelled,
        State::Failed => is_lost && pool == Pool::Embedded,
        _ => false,
    };
    // Only the embedded runner ends with the service.
    if !is_valid || (run.attempt > 1 && pool != Pool::Embedded) {
        world.fail(format!("{attempt} ended as {run:?} in {:?}", job.state()));
    }
    if is_lost && !is_cancelled && run.attempt == 1 {
        let is_retried = job
            .stage_runs
            .iter()
            .any(|other| other.stage_name == run.stage_name && other.attempt == 2);
        if is_retried == (Kind::of(&job.pipeline_name) == Kind::Deploy) {
            world.fail(format!("{attempt} was lost, and retried: {is_retried}"));
        }
    }
    if run.start_time.is_none() {
        return;
    }
    summary.attempts += 1;
    summary.lost_attempts += usize::from(is_lost);
    let is_whole = run.state() == State::Succeeded;
    if is_whole && pool != Pool::Raw && !ran.contains(&attempt.to_string()) {
        world.fail(format!("{attempt} succeeded, and did not run"));
    }
    let mut log = ReadLog::default();
    if let Err(status) = log.read(world, channel, &attempt, false).await {
        world.fail(format!("log of {attempt}: {status:?}"));
        return;
    }
    summary.gaps += log.gaps.len();
    let is_complete =
        log.size == i64::try_from(log.offset).ok() && log.size == Some(run.log_size_bytes);
    let is_unbroken = log.gaps.is_empty() || world.may_lose_log;
    let is_long = pool == Pool::Raw || log.offset == attempt.lines(0..LINES).len();
    if !is_complete || (is_whole && !(is_unbroken && is_long)) {
        world.fail(format!("log of {attempt}: {log:?} of {run:?}"));
    }
}
