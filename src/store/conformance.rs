//! What every backend of [`Store`] must do. A backend passes the whole suite:
//! `conformance::suite!(new_store())` in its tests.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, SystemTime},
};

use uuid::Uuid;

use crate::domain::{
    ActionKind, CancelCause, Cancellation, Command, FencingToken, Holder, Job, JobId, JobState,
    NewJob, Offer, Origin, Outcome, Pipeline, PipelineId, PipelineSpec, RunKey, RunnerId, Stage,
    StageAction, StageResult, StageRun, StageType, Trigger, TriggerSource, create, decide, limits,
};

use super::{
    Answer, Batch, Claim, CommitError, JobFilter, JobWrite, KeptAnswer, Labels, PipelineFilter,
    PipelineWrite, ReadyStage, RequestKey, Store,
};

/// One test for each rule, on a new store each.
macro_rules! suite {
    ($store:expr) => {
        $crate::store::conformance::suite!($store;
            a_commit_is_all_or_nothing
            a_conflict_is_found_for_pipelines
            a_conflict_is_found_for_jobs
            a_name_belongs_to_one_pipeline
            revisions_stay_as_they_were
            revisions_beyond_the_limit_stay_with_their_jobs
            jobs_are_active_in_order_until_they_end
            events_are_read_from_any_sequence
            pipelines_are_listed_newest_first
            jobs_are_listed_by_state
            ready_stages_are_claimed_in_order_of_rank
            labels_decide_what_a_runner_gets
            what_is_no_longer_ready_is_not_claimed
            what_is_claimed_can_be_read
            stages_of_a_job_go_to_the_runner_that_has_its_workspace
            a_bound_stage_that_is_cancelled_is_not_claimed
            what_is_put_back_is_claimed_again
            an_answer_is_kept_once
            old_answers_go
            ended_jobs_expire_oldest_first
            concurrent_commits_lose_nothing
        );
    };
    ($store:expr; $($rule:ident)+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $rule() {
                $crate::store::conformance::$rule(std::sync::Arc::new($store)).await;
            }
        )+
    };
}
pub(crate) use suite;

type Tested = Arc<dyn Store>;

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 + seconds)
}

fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

fn pipeline_with(number: u128, name: &str, project: &str, spec: PipelineSpec) -> Arc<Pipeline> {
    let spec = PipelineSpec {
        name: name.to_owned(),
        stages: match spec.stages.is_empty() {
            true => vec![stage("a", &[]), stage("b", &[])].into(),
            false => spec.stages,
        },
        ..spec
    };
    let id = PipelineId(id(number));
    let made = Pipeline::new(id, project.to_owned(), spec, "somebody".to_owned(), at(0));
    Arc::new(made.expect("a valid spec"))
}

fn pipeline(number: u128, name: &str) -> Arc<Pipeline> {
    pipeline_with(number, name, "default", PipelineSpec::default())
}

fn stage(name: &str, labels: &[(&str, &str)]) -> Stage {
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

fn label_map(labels: &[(&str, &str)]) -> Labels {
    labels
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect()
}

fn offer(labels: &[(&str, &str)]) -> Arc<Offer> {
    Arc::new(Offer {
        labels: label_map(labels),
        actions: ActionKind::ALL.into(),
    })
}

fn write(pipeline: PipelineWrite) -> Batch {
    Batch {
        pipeline: Some(pipeline),
        ..Batch::default()
    }
}

fn job_batch(write: JobWrite) -> Batch {
    Batch {
        jobs: vec![write],
        ..Batch::default()
    }
}

fn new_job(pipeline: &Arc<Pipeline>, number: u128, priority: i32, time: SystemTime) -> JobWrite {
    let of_pipeline = i64::try_from(number).unwrap();
    numbered_job(pipeline, number, of_pipeline, priority, time)
}

fn numbered_job(
    pipeline: &Arc<Pipeline>,
    of_id: u128,
    number: i64,
    priority: i32,
    time: SystemTime,
) -> JobWrite {
    let new = NewJob {
        id: JobId(id(of_id)),
        pipeline: Arc::clone(pipeline),
        git_ref: String::new(),
        commit_id: String::new(),
        trigger: Trigger {
            source: TriggerSource::Api,
            principal: "somebody".to_owned(),
            trace: None,
        },
        variables: Default::default(),
        secret_variables: Default::default(),
        priority,
        retried_job_id: None,
        weights: Vec::new(),
        stage_runs: (0..pipeline.spec.stages.len())
            .map(StageRun::pending)
            .collect(),
    };
    let decision = create(new, number, true, time);
    JobWrite {
        job: Arc::new(decision.job),
        events: decision.events,
    }
}

fn decided(job: &Job, command: Command, time: SystemTime) -> JobWrite {
    let decision = decide(job, command, time).expect("a command that is possible");
    JobWrite {
        job: Arc::new(decision.job),
        events: decision.events,
    }
}

fn cancel() -> Command {
    Command::Cancel(Cancellation {
        cause: CancelCause::Requested,
        reason: String::new(),
        principal: "somebody".to_owned(),
    })
}

fn start(stage: usize) -> Command {
    Command::Start {
        run: RunKey { stage, attempt: 1 },
        holder: Holder {
            runner_id: RunnerId(Uuid::nil()),
            token: FencingToken(1),
        },
    }
}

async fn stored(store: &Tested, pipeline: &Arc<Pipeline>) -> Arc<Pipeline> {
    store
        .commit(write(PipelineWrite::Create(Arc::clone(pipeline))))
        .await
        .unwrap();
    Arc::clone(pipeline)
}

/// Adds a job at the pipeline's present version.
async fn add_job(store: &Tested, job: JobWrite) -> Arc<Job> {
    let pipeline_id = job.job.pipeline.id;
    let version = store.pipeline(pipeline_id).await.unwrap().unwrap().version;
    let added = Arc::clone(&job.job);
    let batch = Batch {
        pipeline: Some(PipelineWrite::AddJob(pipeline_id, version)),
        ..job_batch(job)
    };
    store.commit(batch).await.unwrap();
    added
}

async fn end_job(store: &Tested, job: &Job, time: SystemTime) {
    store
        .commit(job_batch(decided(job, cancel(), time)))
        .await
        .unwrap();
}

fn is_conflict(result: Result<(), CommitError>) -> bool {
    matches!(result, Err(CommitError::Conflict))
}

pub(crate) async fn a_commit_is_all_or_nothing(store: Tested) {
    let p = stored(&store, &pipeline(1, "p")).await;
    let job = add_job(&store, new_job(&p, 10, 0, at(1))).await;
    // The second write is stale, so the first must not happen either.
    let stale = decided(&job, cancel(), at(2));
    store
        .commit(job_batch(decided(&job, start(0), at(2))))
        .await
        .unwrap();
    let state = store.pipeline(p.id).await.unwrap().unwrap();
    let batch = Batch {
        pipeline: Some(PipelineWrite::AddJob(p.id, state.version)),
        jobs: vec![new_job(&p, 11, 0, at(2)), stale],
        answer: None,
    };
    assert!(is_conflict(store.commit(batch).await));
    assert!(store.job(JobId(id(11))).await.unwrap().is_none());
    let after = store.pipeline(p.id).await.unwrap().unwrap();
    assert_eq!((after.version, after.jobs_created), (state.version, 1));
    assert_eq!(
        store.job(job.id).await.unwrap().unwrap().state,
        JobState::Running
    );
}

pub(crate) async fn a_conflict_is_found_for_pipelines(store: Tested) {
    let p = stored(&store, &pipeline(1, "p")).await;
    let version = store.pipeline(p.id).await.unwrap().unwrap().version;
    let revised = |default_ref: &str| {
        let spec = PipelineSpec {
            default_ref: default_ref.to_owned(),
            ..p.spec.clone()
        };
        Arc::new(p.revised(spec, at(1)).unwrap().unwrap())
    };
    store
        .commit(write(PipelineWrite::Revise(revised("a"), version)))
        .await
        .unwrap();
    let stale = [
        PipelineWrite::Revise(revised("b"), version),
        PipelineWrite::AddJob(p.id, version),
        PipelineWrite::Delete(p.id, version),
    ];
    for stale in stale {
        assert!(is_conflict(store.commit(write(stale)).await));
    }
    let version = store.pipeline(p.id).await.unwrap().unwrap().version;
    store
        .commit(write(PipelineWrite::Delete(p.id, version)))
        .await
        .unwrap();
    assert!(store.pipeline(p.id).await.unwrap().is_none());
    assert!(is_conflict(
        store
            .commit(write(PipelineWrite::AddJob(p.id, version)))
            .await
    ));
}

pub(crate) async fn a_conflict_is_found_for_jobs(store: Tested) {
    let p = stored(&store, &pipeline(1, "p")).await;
    let job = add_job(&store, new_job(&p, 10, 0, at(1))).await;
    let first = decided(&job, start(0), at(2));
    let second = decided(&job, cancel(), at(2));
    store.commit(job_batch(first)).await.unwrap();
    assert!(is_conflict(store.commit(job_batch(second)).await));
    let unknown = Job {
        origin: Arc::new(Origin {
            id: JobId(id(99)),
            ..Origin::clone(&job.origin)
        }),
        ..Job::clone(&job)
    };
    assert!(is_conflict(
        store
            .commit(job_batch(decided(&unknown, cancel(), at(3))))
            .await
    ));
}

pub(crate) async fn a_name_belongs_to_one_pipeline(store: Tested) {
    let p = stored(&store, &pipeline(1, "p")).await;
    let create = |pipeline| store.commit(write(PipelineWrite::Create(pipeline)));
    let taken = create(pipeline(2, "p")).await;
    assert!(matches!(taken, Err(CommitError::NameTaken { .. })));
    assert!(store.pipeline(PipelineId(id(2))).await.unwrap().is_none());
    create(pipeline_with(3, "p", "other", PipelineSpec::default()))
        .await
        .unwrap();

    // Renamed, it gives its name up and takes the new one.
    let spec = PipelineSpec {
        name: "q".to_owned(),
        ..p.spec.clone()
    };
    let renamed = Arc::new(p.revised(spec, at(1)).unwrap().unwrap());
    store
        .commit(write(PipelineWrite::Revise(renamed, 1)))
        .await
        .unwrap();
    create(pipeline(4, "p")).await.unwrap();
    assert!(matches!(
        create(pipeline(5, "q")).await,
        Err(CommitError::NameTaken { .. })
    ));

    // So does one that is deleted.
    store
        .commit(write(PipelineWrite::Delete(p.id, 2)))
        .await
        .unwrap();
    create(pipeline(5, "q")).await.unwrap();
}

async fn revise(store: &Tested, id: PipelineId, default_ref: String) -> Arc<Pipeline> {
    let state = store.pipeline(id).await.unwrap().unwrap();
    let spec = PipelineSpec {
        default_ref,
        ..state.pipeline.spec.clone()
    };
    let revised = Arc::new(state.pipeline.revised(spec, at(1)).unwrap().unwrap());
    let revise = PipelineWrite::Revise(Arc::clone(&revised), state.version);
    store.commit(write(revise)).await.unwrap();
    revised
}

pub(crate) async fn revisions_stay_as_they_were(store: Tested) {
    let first = stored(&store, &pipeline(1, "p")).await;
    let second = revise(&store, first.id, "a".to_owned()).await;
    assert_eq!(
        store.revision(first.id, 1).await.unwrap(),
        Some(first.clone())
    );
    assert_eq!(store.revision(first.id, 2).await.unwrap(), Some(second));
    assert_eq!(store.revision(first.id, 3).await.unwrap(), None);
    assert_eq!(store.revision(PipelineId(id(9)), 1).await.unwrap(), None);
}

pub(crate) async fn revisions_beyond_the_limit_stay_with_their_jobs(store: Tested) {
    let p = stored(&store, &pipeline(1, "p")).await;
    let pipeline_id = p.id;
    let job = add_job(&store, new_job(&p, 10, 0, at(1))).await;
    drop(p);
    for number in 1..limits::MAX_REVISIONS + 2 {
        revise(&store, pipeline_id, format!("r{number}")).await;
    }
    // Revisions 1 and 2 are beyond the newest thousand; the job still runs the first.
    assert!(store.revision(pipeline_id, 1).await.unwrap().is_some());
    assert!(store.revision(pipeline_id, 2).await.unwrap().is_none());
    assert!(store.revision(pipeline_id, 3).await.unwrap().is_some());
    end_job(&store, &job, at(2)).await;
    drop(job);
    store.remove_job(JobId(id(10))).await.unwrap();
    assert!(store.revision(pipeline_id, 1).await.unwrap().is_none());
}

pub(crate) async fn jobs_are_active_in_order_until_they_end(store: Tested) {
    let p = stored(&store, &pipeline(1, "p")).await;
    // By their numbers, whatever their ids.
    let first = add_job(&store, numbered_job(&p, 12, 1, 0, at(1))).await;
    let second = add_job(&store, numbered_job(&p, 11, 2, 0, at(1))).await;
    let check = async |expected: &[JobId]| {
        assert_eq!(store.active_jobs(p.id).await.unwrap(), expected);
        let state = store.pipeline(p.id).await.unwrap().unwrap();
        assert_eq!(state.active_jobs, expected.len());
        assert_eq!(state.oldest_active_job.as_ref(), expected.first());
    };
    check(&[first.id, second.id]).await;
    end_job(&store, &first, at(2)).await;
    check(&[second.id]).await;
    end_job(&store, &second, at(2)).await;
    check(&[]).await;
    assert_eq!(store.pipeline(p.id).await.unwrap().unwrap().jobs_created, 2);
}

pub(crate) async fn events_are_read_from_any_sequence(store: Tested) {
    let p = stored(&store, &pipeline(1, "p")).await;
    let job = add_job(&store, new_job(&p, 10, 0, at(1))).await;
    end_job(&store, &job, at(2)).await;
    let job = store.job(job.id).await.unwrap().unwrap();
    let all = store.events(job.id, 0).await.unwrap().unwrap();
    assert_eq!(all.len() as i64, job.last_sequence);
    assert_eq!(Job::replay(all.iter()).as_ref(), Some(job.as_ref()));
    for seen in 0..=all.len() {
        let rest = store.events(job.id, seen as i64).await.unwrap().unwrap();
        assert_eq!(rest, all[seen..]);
    }
    assert_eq!(store.events(job.id, 1_000).await.unwrap().unwrap(), []);
    assert_eq!(store.events(JobId(id(99)), 0).await.unwrap(), None);
}

pub(crate) async fn pipelines_are_listed_newest_first(store: Tested) {
    for number in 1..=9u128 {
        let project = if number % 2 == 0 { "even" } else { "odd" };
        let spec = PipelineSpec {
            git_repository: format!("https://example.com/{}.git", number % 3),
            ..PipelineSpec::default()
        };
        let name = format!("p{}", number / 2);
        stored(&store, &pipeline_with(number, &name, project, spec)).await;
    }
    let list = async |project: &str, name: &str, repository: &str, before: u128, limit| {
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let filter = PipelineFilter {
            projects: text(project).map(|project| BTreeSet::from([project])),
            name: text(name),
            git_repository: text(repository),
        };
        let before = (before > 0).then(|| PipelineId(id(before)));
        let found = store.list_pipelines(&filter, before, limit).await.unwrap();
        found
            .iter()
            .map(|pipeline| pipeline.id.0.as_u128())
            .collect::<Vec<_>>()
    };
    let zero = "https://example.com/0.git";
    assert_eq!(list("", "", "", 0, 100).await, [9, 8, 7, 6, 5, 4, 3, 2, 1]);
    assert_eq!(list("", "", "", 0, 2).await, [9, 8]);
    assert_eq!(list("", "", "", 8, 3).await, [7, 6, 5]);
    assert_eq!(list("even", "", "", 0, 100).await, [8, 6, 4, 2]);
    assert_eq!(list("even", "", "", 6, 1).await, [4]);
    assert_eq!(list("", "p2", "", 0, 100).await, [5, 4]);
    assert_eq!(list("odd", "p2", "", 0, 100).await, [5]);
    assert_eq!(list("", "", zero, 0, 100).await, [9, 6, 3]);
    assert_eq!(list("odd", "", zero, 0, 100).await, [9, 3]);
    // A page is full even where the filter leaves out the newest.
    assert_eq!(list("even", "p2", "", 0, 1).await, [4]);
    assert_eq!(list("odd", "p9", "", 0, 100).await, [0u128; 0]);

    // A list shows what is, not what was.
    let eight = store.pipeline(PipelineId(id(8))).await.unwrap().unwrap();
    store
        .commit(write(PipelineWrite::Delete(eight.pipeline.id, 1)))
        .await
        .unwrap();
    assert_eq!(list("even", "", "", 0, 100).await, [6, 4, 2]);
}

pub(crate) async fn jobs_are_listed_by_state(store: Tested) {
    let p = stored(&store, &pipeline(1, "p")).await;
    let q = pipeline_with(2, "q", "other", PipelineSpec::default());
    let q = stored(&store, &q).await;
    for number in 10..19u128 {
        let of = if number % 3 == 0 { &q } else { &p };
        let job = add_job(&store, new_job(of, number, 0, at(1))).await;
        match number % 3 {
            0 => {}
            1 => store
                .commit(job_batch(decided(&job, start(0), at(2))))
                .await
                .unwrap(),
            _ => end_job(&store, &job, at(2)).await,
        }
    }
    let list = async |states: &[JobState], filter: JobFilter, before: u128, limit| {
        let filter = JobFilter {
            states: states.to_vec(),
            ..filter
        };
        let before = (before > 0).then(|| JobId(id(before)));
        let found = store.list_jobs(&filter, before, limit).await.unwrap();
        found
            .iter()
            .map(|job| job.id.0.as_u128())
            .collect::<Vec<_>>()
    };
    use JobState::{Cancelled, Queued, Running};
    let all = JobFilter::default;
    assert_eq!(
        list(&[], all(), 0, 100).await,
        [18, 17, 16, 15, 14, 13, 12, 11, 10]
    );
    assert_eq!(list(&[], all(), 17, 2).await, [16, 15]);
    assert_eq!(list(&[Running], all(), 0, 100).await, [16, 13, 10]);
    assert_eq!(
        list(&[Running, Cancelled], all(), 16, 3).await,
        [14, 13, 11]
    );
    assert_eq!(list(&[Queued, Queued], all(), 0, 100).await, [18, 15, 12]);
    let of_q = || JobFilter {
        pipeline_id: Some(q.id),
        ..JobFilter::default()
    };
    assert_eq!(list(&[], of_q(), 0, 100).await, [18, 15, 12]);
    let in_default = JobFilter {
        projects: Some(BTreeSet::from(["default".to_owned()])),
        ..of_q()
    };
    assert_eq!(list(&[], in_default, 0, 100).await, [0u128; 0]);
    let of = |projects: &[&str]| JobFilter {
        projects: Some(projects.iter().map(|name| (*name).to_owned()).collect()),
        ..JobFilter::default()
    };
    assert_eq!(list(&[], of(&["other"]), 0, 2).await, [18, 15]);
    assert_eq!(
        list(&[], of(&["other", "default", "none"]), 17, 3).await,
        [16, 15, 14]
    );
    assert_eq!(
        list(&[Running], of(&["other", "default"]), 0, 9).await,
        [16, 13, 10]
    );
    assert_eq!(list(&[], of(&[]), 0, 9).await, [0u128; 0]);
}

/// A claim of one and the same runner.
async fn claim(store: &Tested, labels: &[(&str, &str)]) -> Option<ReadyStage> {
    claim_of(store, 1, labels).await
}

async fn claim_of(store: &Tested, runner: u128, labels: &[(&str, &str)]) -> Option<ReadyStage> {
    let claim = Claim {
        runner_id: RunnerId(id(runner)),
        offer: offer(labels),
        only_bound: false,
    };
    store.claim(&claim).await.unwrap()
}

fn first_stage(job: u128) -> Option<ReadyStage> {
    Some(ReadyStage {
        job_id: JobId(id(job)),
        run: RunKey {
            stage: 0,
            attempt: 1,
        },
    })
}

pub(crate) async fn ready_stages_are_claimed_in_order_of_rank(store: Tested) {
    let p = stored(&store, &pipeline(1, "p")).await;
    for (number, priority, time) in [
        (10, 0, 100),
        (11, 0, 99),
        (12, 1, 109),
        (13, 1, 111),
        (14, -1, 89),
    ] {
        add_job(&store, new_job(&p, number, priority, at(time))).await;
    }
    assert_eq!(store.ready_stages().await.unwrap(), 5);
    // As if they had become ready at 100, 99, 99, 101 and 99; of equals the older id.
    for expected in [11, 12, 14, 10, 13] {
        assert_eq!(claim(&store, &[]).await, first_stage(expected));
    }
    assert_eq!(claim(&store, &[]).await, None);
    assert_eq!(store.ready_stages().await.unwrap(), 0);
}

pub(crate) async fn labels_decide_what_a_runner_gets(store: Tested) {
    let of = |number, labels: &[(&str, &str)]| {
        let spec = PipelineSpec {
            stages: vec![stage("s", labels)].into(),
            ..PipelineSpec::default()
        };
        pipeline_with(number, &format!("p{number}"), "default", spec)
    };
    let wanted: [&[(&str, &str)]; 3] = [
        &[("gpu", "yes"), ("os", "linux")],
        &[("os", "linux")],
        &[("os", "mac")],
    ];
    for (number, labels) in (1..).zip(wanted) {
        let p = stored(&store, &of(number, labels)).await;
        add_job(&store, new_job(&p, 10 + number, 0, at(number as u64))).await;
    }
    let claim = async |labels: &[(&str, &str)]| claim(&store, labels).await;
    assert_eq!(claim(&[]).await, None);
    assert_eq!(claim(&[("os", "windows")]).await, None);
    assert_eq!(claim(&[("os", "linux")]).await, first_stage(12));
    assert_eq!(claim(&[("os", "linux")]).await, None);
    assert_eq!(
        claim(&[("os", "linux"), ("gpu", "yes"), ("x", "y")]).await,
        first_stage(11)
    );
    assert_eq!(claim(&[("os", "mac")]).await, first_stage(13));
}

pub(crate) async fn what_is_no_longer_ready_is_not_claimed(store: Tested) {
    let p = stored(&store, &pipeline(1, "p")).await;
    let cancelled = add_job(&store, new_job(&p, 10, 0, at(1))).await;
    end_job(&store, &cancelled, at(2)).await;
    let started = add_job(&store, new_job(&p, 11, 0, at(1))).await;
    store
        .commit(job_batch(decided(&started, start(0), at(2))))
        .await
        .unwrap();
    assert_eq!(claim(&store, &[]).await, None);

    // The end of a stage makes the next one ready.
    let started = store.job(started.id).await.unwrap().unwrap();
    let finish = Command::Finish {
        run: RunKey {
            stage: 0,
            attempt: 1,
        },
        token: FencingToken(1),
        result: StageResult {
            outcome: Outcome::Succeeded,
            exit_code: Some(0),
            message: String::new(),
            log_size: 0,
        },
    };
    store
        .commit(job_batch(decided(&started, finish, at(3))))
        .await
        .unwrap();
    let next = ReadyStage {
        job_id: started.id,
        run: RunKey {
            stage: 1,
            attempt: 1,
        },
    };
    assert_eq!(claim(&store, &[]).await, Some(next));
}

fn parallel(number: u128, labels: [&[(&str, &str)]; 3]) -> Arc<Pipeline> {
    let stages = ["a", "b", "c"].into_iter().zip(labels);
    let spec = PipelineSpec {
        stages: stages.map(|(name, labels)| stage(name, labels)).collect(),
        parallel: true,
        ..PipelineSpec::default()
    };
    pipeline_with(number, &format!("p{number}"), "default", spec)
}

fn nth(job: u128, stage: usize) -> Option<ReadyStage> {
    let (job_id, attempt) = (JobId(id(job)), 1);
    Some(ReadyStage {
        job_id,
        run: RunKey { stage, attempt },
    })
}

pub(crate) async fn stages_of_a_job_go_to_the_runner_that_has_its_workspace(store: Tested) {
    let gpu: &[_] = &[("gpu", "yes")];
    let p = stored(&store, &parallel(1, [&[], gpu, &[]])).await;
    add_job(&store, new_job(&p, 10, 0, at(1))).await;
    add_job(&store, new_job(&p, 11, 0, at(2))).await;
    assert_eq!(claim_of(&store, 1, &[]).await, nth(10, 0));
    // Runner 2 passes over what runner 1 is to have, but not over what it cannot have.
    assert_eq!(claim_of(&store, 2, gpu).await, nth(10, 1));
    assert_eq!(claim_of(&store, 3, &[]).await, nth(11, 0));
    assert_eq!(claim_of(&store, 4, &[]).await, None);
    assert_eq!(store.ready_stages().await.unwrap(), 3);
    assert_eq!(claim_of(&store, 1, &[]).await, nth(10, 2));

    let job = JobId(id(11));
    let bound = store.bindings(job).await.unwrap();
    assert_eq!(bound, [(RunnerId(id(3)), offer(&[]))]);
    assert_eq!(store.bound_jobs(RunnerId(id(3))).await.unwrap(), [job]);
    // Once its runner is gone, anybody may have the rest.
    store.unbind(job, RunnerId(id(3))).await.unwrap();
    assert!(store.bound_jobs(RunnerId(id(3))).await.unwrap().is_empty());
    assert_eq!(claim_of(&store, 2, gpu).await, nth(11, 1));
    assert_eq!(claim_of(&store, 4, &[]).await, None, "runner 2 has it now");
    assert_eq!(claim_of(&store, 2, gpu).await, nth(11, 2));
}

pub(crate) async fn a_bound_stage_that_is_cancelled_is_not_claimed(store: Tested) {
    let p = stored(&store, &parallel(1, [&[], &[], &[]])).await;
    let job = add_job(&store, new_job(&p, 10, 0, at(1))).await;
    assert_eq!(claim_of(&store, 1, &[]).await, nth(10, 0));
    assert_eq!(claim_of(&store, 2, &[]).await, None);
    end_job(&store, &job, at(2)).await;
    assert_eq!(claim_of(&store, 1, &[]).await, None);
    assert_eq!(store.ready_stages().await.unwrap(), 0);
    assert!(store.bindings(job.id).await.unwrap().is_empty());
    assert!(store.bound_jobs(RunnerId(id(1))).await.unwrap().is_empty());
}

pub(crate) async fn what_is_put_back_is_claimed_again(store: Tested) {
    let p = stored(&store, &pipeline(1, "p")).await;
    let job = add_job(&store, new_job(&p, 10, 0, at(1))).await;
    let claimed = claim(&store, &[]).await.unwrap();
    store.unclaim(claimed).await.unwrap();
    assert_eq!(claim(&store, &[]).await, Some(claimed));
    // One that was cancelled in the meantime stays out.
    end_job(&store, &job, at(2)).await;
    store.unclaim(claimed).await.unwrap();
    assert_eq!(claim(&store, &[]).await, None);
}

/// A claim that runs beside the commit of a new job finds the job.
pub(crate) async fn what_is_claimed_can_be_read(store: Tested) {
    const JOBS: u128 = 2_000;
    let p = stored(&store, &pipeline(1, "p")).await;
    let claimer = tokio::spawn({
        let store = Arc::clone(&store);
        async move {
            let mut claimed = 0;
            while claimed < JOBS {
                match claim(&store, &[]).await {
                    Some(ready) => {
                        assert!(store.job(ready.job_id).await.unwrap().is_some());
                        claimed += 1;
                    }
                    None => tokio::task::yield_now().await,
                }
            }
        }
    });
    for number in 0..JOBS {
        add_job(&store, new_job(&p, 1_000 + number, 0, at(1))).await;
    }
    claimer.await.unwrap();
}

fn key(number: u128) -> RequestKey {
    RequestKey {
        principal: "somebody".to_owned(),
        method: "Call",
        request_id: id(number),
    }
}

fn answer(fingerprint: u8, time: SystemTime) -> KeptAnswer {
    KeptAnswer {
        fingerprint: [fingerprint; 32],
        answer: Answer::Deleted,
        time,
    }
}

async fn keep(
    store: &Tested,
    number: u128,
    fingerprint: u8,
    time: SystemTime,
) -> Result<(), CommitError> {
    let batch = Batch {
        answer: Some((key(number), answer(fingerprint, time))),
        ..Batch::default()
    };
    store.commit(batch).await
}

pub(crate) async fn an_answer_is_kept_once(store: Tested) {
    assert!(store.answer(&key(1)).await.unwrap().is_none());
    keep(&store, 1, 7, at(1)).await.unwrap();
    let kept = store.answer(&key(1)).await.unwrap().unwrap();
    assert_eq!((kept.fingerprint, kept.time), ([7; 32], at(1)));

    // A second one changes nothing, the rest of its batch neither.
    let batch = Batch {
        answer: Some((key(1), answer(8, at(2)))),
        ..write(PipelineWrite::Create(pipeline(1, "p")))
    };
    match store.commit(batch).await {
        Err(CommitError::Answered(kept)) => assert_eq!(kept.fingerprint, [7; 32]),
        other => panic!("{other:?}"),
    }
    assert!(store.pipeline(PipelineId(id(1))).await.unwrap().is_none());
    // Nor does it keep the name for what was not made.
    store
        .commit(write(PipelineWrite::Create(pipeline(2, "p"))))
        .await
        .unwrap();

    for other in [
        RequestKey {
            principal: "other".to_owned(),
            ..key(1)
        },
        RequestKey {
            method: "Other",
            ..key(1)
        },
        key(2),
    ] {
        assert!(store.answer(&other).await.unwrap().is_none());
    }
}

pub(crate) async fn old_answers_go(store: Tested) {
    const DAY: u64 = 24 * 60 * 60;
    keep(&store, 1, 1, at(0)).await.unwrap();
    keep(&store, 2, 2, at(10)).await.unwrap();
    keep(&store, 3, 3, at(DAY)).await.unwrap();
    assert!(store.answer(&key(1)).await.unwrap().is_some());
    keep(&store, 4, 4, at(DAY + 1)).await.unwrap();
    assert!(store.answer(&key(1)).await.unwrap().is_none());
    assert!(store.answer(&key(2)).await.unwrap().is_some());
}

pub(crate) async fn ended_jobs_expire_oldest_first(store: Tested) {
    let p = stored(&store, &pipeline(1, "p")).await;
    for (number, end) in [(10, 30), (11, 10), (12, 20), (13, 40)] {
        let job = add_job(&store, new_job(&p, number, 0, at(1))).await;
        end_job(&store, &job, at(end)).await;
    }
    add_job(&store, new_job(&p, 14, 0, at(1))).await;
    let expired = async |keep, before| {
        let expired = store.expired_jobs(keep, at(before)).await.unwrap();
        expired.iter().map(|id| id.0.as_u128()).collect::<Vec<_>>()
    };
    assert_eq!(expired(0, 100).await, [11, 12, 10, 13]);
    assert_eq!(expired(2, 100).await, [11, 12]);
    assert_eq!(expired(0, 30).await, [11, 12]);
    assert_eq!(expired(4, 100).await, [0u128; 0]);

    store.remove_job(JobId(id(11))).await.unwrap();
    assert!(store.job(JobId(id(11))).await.unwrap().is_none());
    assert_eq!(store.events(JobId(id(11)), 0).await.unwrap(), None);
    assert_eq!(expired(0, 100).await, [12, 10, 13]);
    let listed = store
        .list_jobs(&JobFilter::default(), None, 100)
        .await
        .unwrap();
    assert_eq!(listed.len(), 4);
}

/// Many writers that load, decide and try again: none of their changes is lost, and
/// readers of lists meanwhile keep nobody waiting for ever.
pub(crate) async fn concurrent_commits_lose_nothing(store: Tested) {
    const WRITERS: u128 = 8;
    const JOBS: u128 = 50;
    let p = stored(&store, &pipeline(1, "p")).await;
    let writers = (0..WRITERS).map(|writer| {
        let (store, p) = (Arc::clone(&store), Arc::clone(&p));
        tokio::spawn(async move {
            for number in 0..JOBS {
                let number = 1_000 + writer * JOBS + number;
                loop {
                    let version = store.pipeline(p.id).await.unwrap().unwrap().version;
                    let batch = Batch {
                        pipeline: Some(PipelineWrite::AddJob(p.id, version)),
                        ..job_batch(new_job(&p, number, 0, at(1)))
                    };
                    match store.commit(batch).await {
                        Ok(()) => break,
                        Err(CommitError::Conflict) => tokio::task::yield_now().await,
                        Err(error) => panic!("{error}"),
                    }
                }
                let job = store.job(JobId(id(number))).await.unwrap().unwrap();
                end_job(&store, &job, at(2)).await;
                store
                    .list_jobs(&JobFilter::default(), None, 10)
                    .await
                    .unwrap();
                store
                    .list_pipelines(&PipelineFilter::default(), None, 10)
                    .await
                    .unwrap();
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    let state = store.pipeline(p.id).await.unwrap().unwrap();
    assert_eq!(state.jobs_created, i64::try_from(WRITERS * JOBS).unwrap());
    assert_eq!(state.active_jobs, 0);
    let listed = store
        .list_jobs(&JobFilter::default(), None, 1_000)
        .await
        .unwrap();
    assert_eq!(listed.len() as u128, WRITERS * JOBS);
}
