//! Bytes are counted as they come and go, for the store, projects and principals.

use std::sync::Arc;

use bytes::Bytes;
use rand::{Rng, RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};

use crate::domain::{JobFacts, JobId, Pipeline, PipelineId, PipelineSpec};

use super::{
    super::{
        Account, Answer, Batch, CommitError, DueWork, DueWrite, EndedJob, KeptAnswer, Limit,
        OverLimit, PipelineWrite, Record, RecordWrite, RequestKey, Usage, WorkKey, Write,
    },
    Tested,
    world::*,
};

fn project(name: &str) -> Account {
    Account::Project(name.to_owned())
}

fn alice() -> Account {
    Account::Principal("alice".to_owned())
}

async fn used(store: &Tested, account: &Account) -> u64 {
    store.used(account).await.unwrap()
}

/// Bytes of the store, of the project and of the principal.
async fn all_used(store: &Tested) -> [u64; 3] {
    [
        used(store, &Account::Store).await,
        used(store, &project("default")).await,
        used(store, &alice()).await,
    ]
}

/// Pipeline 1 as the store has it: what is shared with that weighs nothing.
async fn newest(store: &Tested) -> Arc<Pipeline> {
    let state = store.pipeline(PipelineId(id(1))).await.unwrap();
    state.expect("it is kept").pipeline
}

fn record(number: u128, version: u64, size: usize) -> Record {
    Record {
        key: number.to_string(),
        project: "default".to_owned(),
        principal: "alice".to_owned(),
        version,
        body: Bytes::from(vec![7; size]),
        expires: number.is_multiple_of(2).then(|| at(1_000)),
        indexes: vec![("tag", "red".to_owned())],
    }
}

fn work(number: u128, size: usize) -> DueWork {
    let is_ordered = number.is_multiple_of(2);
    DueWork {
        key: work_key(number),
        at: at(1),
        order_key: is_ordered.then(|| "in order".to_owned()),
        attempts: 0,
        body: Bytes::from(vec![7; size]),
    }
}

fn work_key(number: u128) -> WorkKey {
    WorkKey {
        kind: "work",
        key: number.to_string(),
    }
}

fn answered(number: u128) -> Batch {
    let key = RequestKey {
        principal: "alice".to_owned(),
        method: "Call".to_owned(),
        request_id: id(number),
    };
    let kept = KeptAnswer {
        fingerprint: [1; 32],
        answer: Answer::Project("default".to_owned(), 1),
        time: at(5),
    };
    Batch {
        answer: Some((key, kept)),
        ..Batch::default()
    }
}

/// Each kind of value: what has it kept, and what has it go.
pub(crate) async fn what_is_kept_is_counted_until_it_goes(mut store: Tested) {
    let [everywhere, of_store] = [[true; 3], [true, false, false]];
    let expect = async |store: &mut Tested, before: [u64; 3], grown: [bool; 3], what: &str| {
        store.reopen().await;
        let now = all_used(store).await;
        for ((before, now), grown) in before.into_iter().zip(now).zip(grown) {
            assert_eq!(now > before, grown, "{what}: {before} {now}");
        }
        now
    };
    let none = all_used(&store).await;
    assert_eq!(none, [0; 3]);
    stored(&store, &pipeline(1, "p")).await;
    let with_pipeline = expect(&mut store, none, everywhere, "a pipeline").await;
    let p = newest(&store).await;
    let job = add_job(&store, new_job(&p, 10, 0, at(1))).await.id;
    drop(p);
    let with_job = expect(&mut store, with_pipeline, everywhere, "a job").await;
    end_job(&store, job, at(2)).await;
    let with_end = expect(&mut store, with_job, everywhere, "events").await;
    let put = RecordWrite::Put("things", record(1, 1, 1_000));
    store.commit(Batch::of([Write::Record(put)])).await.unwrap();
    let with_record = expect(&mut store, with_end, everywhere, "a record").await;
    let add = DueWrite::Add(work(1, 100));
    store.commit(Batch::of([add.into()])).await.unwrap();
    let with_work = expect(&mut store, with_record, of_store, "due work").await;
    store.commit(answered(1)).await.unwrap();
    let of_caller = [true, false, true];
    expect(&mut store, with_work, of_caller, "an idempotency record").await;

    let writes = [
        Write::RemoveJob(job),
        Write::Pipeline(PipelineWrite::Delete(PipelineId(id(1)), 2)),
        Write::Record(RecordWrite::Delete("things", "1".to_owned(), 1)),
        Write::Due(DueWrite::Cancel(work_key(1))),
    ];
    store.commit(Batch::of(writes)).await.unwrap();
    store.remove_answers(at(6)).await.unwrap();
    store.reopen().await;
    assert_eq!(all_used(&store).await, [0; 3]);
    assert_eq!(store.usage().await.unwrap(), Usage::default());
}

/// Random writes; the bytes are compared with those that a reopen adds up anew.
pub(crate) async fn counters_do_not_drift(mut store: Tested) {
    let seed = rand::random();
    println!("seed: {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    for round in 0..8 {
        for _ in 0..60 {
            step(&store, &mut random).await;
        }
        if round == 4 {
            let removed = store.remove_expired_records(at(2_000)).await.unwrap();
            println!("{removed} records expired");
        }
        // This compares what is counted before and after.
        store.crash().await;
    }
    // All that can go goes.
    for id in pipelines(&store).await {
        let version = store.pipeline(id).await.unwrap().unwrap().version;
        let delete = PipelineWrite::Delete(id, version);
        store.commit(write(delete)).await.unwrap();
    }
    for number in 1..20 {
        let key = number.to_string();
        if let Some(record) = store.record("things", &key).await.unwrap() {
            let delete = RecordWrite::Delete("things", key, record.version);
            store
                .commit(Batch::of([Write::Record(delete)]))
                .await
                .unwrap();
        }
        let cancel = DueWrite::Cancel(work_key(number));
        store.commit(Batch::of([cancel.into()])).await.unwrap();
    }
    for id in jobs(&store).await {
        let is_active = !job(&store, id).await.state.is_terminal();
        if is_active {
            end_job(&store, id, at(90)).await;
        }
        store
            .commit(Batch::of([Write::RemoveJob(id)]))
            .await
            .unwrap();
    }
    store.remove_answers(at(1_000)).await.unwrap();
    let filter = crate::store::FactsFilter {
        limit: 1_000,
        ..Default::default()
    };
    let facts = store.facts(&filter).await.unwrap();
    let facts: u64 = facts.iter().map(|facts| facts.weight()).sum();
    assert_eq!(all_used(&store).await, [facts, facts, 0]);
}

async fn pipelines(store: &Tested) -> Vec<PipelineId> {
    let all = store.list_pipelines(&Default::default(), None, 1_000).await;
    all.unwrap().iter().map(|pipeline| pipeline.id).collect()
}

async fn jobs(store: &Tested) -> Vec<JobId> {
    let all = store.list_jobs(&Default::default(), None, 10_000).await;
    all.unwrap().iter().map(|job| job.id).collect()
}

/// One random write. Some of them are conflicts, and change nothing.
async fn step(store: &Tested, random: &mut StdRng) {
    let number = random.random_range(1..20u128);
    let size = random.random_range(0..500);
    let pipelines = pipelines(store).await;
    let pipeline_id = pipelines.choose(random).copied();
    let state = match pipeline_id {
        Some(id) => store.pipeline(id).await.unwrap(),
        None => None,
    };
    let job_id = jobs(store).await.choose(random).copied();
    let batch = match (random.next_u32() % 14, state, job_id) {
        (0 | 1, ..) => {
            let id = random.random_range(1_000..u64::MAX);
            let new = pipeline(id.into(), &format!("p{number}"));
            write(PipelineWrite::Create(new))
        }
        (2 | 3, Some(state), _) => {
            let revised = revised(&state.pipeline, random);
            write(PipelineWrite::Revise(revised, state.version))
        }
        (4, Some(state), _) => {
            let before = random.random_range(0..=state.pipeline.revision);
            write(PipelineWrite::ForgetRevisions(state.pipeline.id, before))
        }
        (5, Some(state), _) if size < 100 => {
            write(PipelineWrite::Delete(state.pipeline.id, state.version))
        }
        (6 | 7, Some(state), _) => {
            let number = random.random_range(1_000..u64::MAX).into();
            let job = numbered_job(&state.pipeline, number, state.jobs_created + 1, 0, at(1));
            let add = PipelineWrite::AddJob(state.pipeline.id, state.version);
            Batch::of([Write::Pipeline(add), Write::Job(job)])
        }
        (8, _, Some(id)) => {
            let job = job(store, id).await;
            if job.state.is_terminal() {
                Batch::of([Write::RemoveJob(id)])
            } else {
                let ended = decided(&job, cancel(), at(20 + number as u64));
                let facts = JobFacts::of(&ended.job).map(|facts| Write::Facts(Arc::new(facts)));
                let writes = [Write::Job(ended)].into_iter().chain(facts);
                Batch::of(writes)
            }
        }
        (9, ..) => {
            let key = number.to_string();
            let stored = store.record("things", &key).await.unwrap();
            let version = stored.map_or(0, |record| record.version) + 1;
            let put = RecordWrite::Put("things", record(number, version, size));
            Batch::of([Write::Record(put)])
        }
        (10, ..) => {
            let key = number.to_string();
            let stored = store.record("things", &key).await.unwrap();
            let version = stored.map_or(0, |record| record.version);
            let delete = RecordWrite::Delete("things", key, version);
            Batch::of([Write::Record(delete)])
        }
        (11, ..) => Batch::of([DueWrite::Add(work(number, size)).into()]),
        (12, ..) => Batch::of([DueWrite::Cancel(work_key(number)).into()]),
        _ => answered(number),
    };
    match store.commit(batch).await {
        Ok(())
        | Err(CommitError::Conflict | CommitError::Answered(_) | CommitError::NameTaken { .. }) => {
        }
        Err(error) => panic!("{error:?}"),
    }
}

/// The next revision, in some of which the stages are others.
fn revised(pipeline: &Pipeline, random: &mut impl Rng) -> Arc<Pipeline> {
    let value = random.next_u64().to_string();
    let mut spec = PipelineSpec {
        annotations: label_map(&[("value", &value)]),
        ..pipeline.spec.clone()
    };
    if random.next_u32().is_multiple_of(2) {
        spec.stages = vec![stage(&format!("s{value}"), &[]), stage("b", &[])].into();
    }
    Arc::new(pipeline.revised(spec, at(3)).unwrap().unwrap())
}

pub(crate) async fn what_revisions_share_weighs_once(mut store: Tested) {
    const LARGE: u64 = 50_000;
    let mut large = stage("a", &[]);
    large.action = crate::domain::StageAction::Command("x".repeat(LARGE as usize));
    let spec = PipelineSpec {
        stages: vec![large].into(),
        ..PipelineSpec::default()
    };
    let p = stored(&store, &pipeline_with(1, "p", "default", spec)).await;
    let one = used(&store, &alice()).await;
    assert!((LARGE..LARGE + 5_000).contains(&one), "{one}");
    // Another job weighs little: it refers to the revision.
    add_job(&store, new_job(&p, 10, 0, at(1))).await;
    add_job(&store, new_job(&p, 11, 0, at(1))).await;
    let spec = PipelineSpec {
        annotations: label_map(&[("value", "other")]),
        ..p.spec.clone()
    };
    let second = Arc::new(p.revised(spec, at(2)).unwrap().unwrap());
    let revise = PipelineWrite::Revise(Arc::clone(&second), 3);
    store.commit(write(revise)).await.unwrap();
    store.reopen().await;
    let with_jobs = used(&store, &alice()).await;
    assert!(with_jobs < one + 10_000, "{with_jobs}");

    // What a job runs is kept with the job, whatever becomes of the pipeline.
    drop((p, second));
    let delete = PipelineWrite::Delete(PipelineId(id(1)), 4);
    store.commit(write(delete)).await.unwrap();
    store.reopen().await;
    for number in [10, 11] {
        assert!(used(&store, &alice()).await > LARGE);
        end_job(&store, job_id(number), at(3)).await;
        let remove = Write::RemoveJob(job_id(number));
        store.commit(Batch::of([remove])).await.unwrap();
        store.reopen().await;
    }
    assert_eq!(used(&store, &alice()).await, 0);
}

pub(crate) async fn what_two_batches_remove_is_subtracted_once(store: Tested) {
    let p = stored(&store, &pipeline(1, "p")).await;
    add_job(&store, new_job(&p, 10, 0, at(1))).await;
    let before = all_used(&store).await;
    for number in 20..60 {
        add_job(&store, new_job(&p, number, 0, at(1))).await;
        end_job(&store, job_id(number), at(2)).await;
        let removals = (0..4).map(|_| {
            let store = store.shared();
            tokio::spawn(async move {
                let remove = Write::RemoveJob(job_id(number));
                store.commit(Batch::of([remove])).await
            })
        });
        for removed in futures_util::future::join_all(removals).await {
            removed.unwrap().unwrap();
        }
        assert_eq!(all_used(&store).await, before);
    }
}

pub(crate) async fn a_batch_keeps_to_its_limits(mut store: Tested) {
    let p = stored(&store, &pipeline(1, "p")).await;
    let before = all_used(&store).await;
    let job = add_job(&store, new_job(&p, 10, 0, at(1))).await;
    let accounts = [Account::Store, project("default"), alice()];
    let after = all_used(&store).await;
    drop(job);
    let remove = |number| Batch::of([Write::RemoveJob(job_id(number))]);
    end_job(&store, job_id(10), at(1)).await;
    store.commit(remove(10)).await.unwrap();
    assert_eq!(all_used(&store).await, before);
    store.reopen().await;

    for (position, account) in accounts.into_iter().enumerate() {
        let number = 20 + position as u128;
        let p = newest(&store).await;
        let (used, full) = (before[position], after[position]);
        let batch = |version, bytes| Batch {
            limits: vec![Limit {
                account: account.clone(),
                bytes,
            }],
            ..Batch::of([
                Write::Pipeline(PipelineWrite::AddJob(p.id, version)),
                Write::Job(new_job(&p, number, 0, at(1))),
            ])
        };
        let version = store.pipeline(p.id).await.unwrap().unwrap().version;
        match store.commit(batch(version, full - 1)).await {
            Err(CommitError::OverLimit(over)) => {
                let added = full - used;
                let limit = batch(version, full - 1).limits.remove(0);
                assert_eq!(over, OverLimit { limit, used, added });
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(all_used(&store).await, before);
        assert!(store.job(job_id(number)).await.unwrap().is_none());
        store.commit(batch(version, full)).await.unwrap();
        assert_eq!(all_used(&store).await, after);
        // What adds nothing to an account keeps to any limit of it.
        let limits = vec![Limit {
            account: account.clone(),
            bytes: 0,
        }];
        let elsewhere = pipeline_with(50, "q", "other", PipelineSpec::default());
        let of_another = matches!(account, Account::Project(_));
        let nothing = if of_another {
            PipelineWrite::Create(elsewhere)
        } else {
            PipelineWrite::ForgetRevisions(p.id, 1)
        };
        let batch = Batch {
            limits,
            ..write(nothing)
        };
        store.commit(batch).await.unwrap();
        if of_another {
            let delete = PipelineWrite::Delete(PipelineId(id(50)), 1);
            store.commit(write(delete)).await.unwrap();
        }
        end_job(&store, job_id(number), at(1)).await;
        store.commit(remove(number)).await.unwrap();
    }
}

pub(crate) async fn ended_jobs_are_evicted_in_order(mut store: Tested) {
    let p = stored(&store, &pipeline(1, "p")).await;
    let q = pipeline_with(2, "q", "other", PipelineSpec::default());
    let q = stored(&store, &q).await;
    for (number, end, has_run) in [
        (10, 30, true),
        (11, 20, true),
        (12, 50, false),
        (13, 40, false),
        (14, 10, true),
    ] {
        let of = if number == 14 { &q } else { &p };
        add_job(&store, new_job(of, number, 0, at(1))).await;
        if has_run {
            end_after_running(&store, job_id(number), at(end)).await;
        } else {
            end_job(&store, job_id(number), at(end)).await;
        }
    }
    add_job(&store, new_job(&p, 15, 0, at(1))).await;
    store.reopen().await;
    let listed = async |store: &Tested, account: &Account| {
        let mut all: Vec<EndedJob> = Vec::new();
        loop {
            let after = all.last().copied();
            let page = store.ended_jobs(account, after, 2).await.unwrap();
            if page.is_empty() {
                let numbers = all.iter().map(|job| job.id.0.as_u128());
                return numbers.collect::<Vec<_>>();
            }
            all.extend(page);
        }
    };
    assert_eq!(listed(&store, &Account::Store).await, [13, 12, 14, 11, 10]);
    assert_eq!(listed(&store, &alice()).await, [13, 12, 14, 11, 10]);
    assert_eq!(listed(&store, &project("default")).await, [13, 12, 11, 10]);
    assert_eq!(listed(&store, &project("other")).await, [14]);
    for gone in [13, 14] {
        let remove = Write::RemoveJob(job_id(gone));
        store.commit(Batch::of([remove])).await.unwrap();
    }
    store.reopen().await;
    assert_eq!(listed(&store, &Account::Store).await, [12, 11, 10]);
    assert_eq!(listed(&store, &project("other")).await, [0u128; 0]);
}

pub(crate) async fn old_revisions_are_forgotten(mut store: Tested) {
    stored(&store, &pipeline(1, "p")).await;
    stored(&store, &pipeline(2, "q")).await;
    let p = PipelineId(id(1));
    let mut random = StdRng::seed_from_u64(1);
    for number in 1..=5u64 {
        let state = store.pipeline(p).await.unwrap().unwrap();
        if number == 2 {
            let job = numbered_job(&state.pipeline, 10, 1, 0, at(1));
            add_job(&store, job).await;
        }
        let state = store.pipeline(p).await.unwrap().unwrap();
        let next = revised(&state.pipeline, &mut random);
        let revise = PipelineWrite::Revise(next, state.version);
        store.commit(write(revise)).await.unwrap();
    }
    store.reopen().await;
    let is_kept = async |store: &Tested, revision| {
        let found = store.revision(p, revision).await.unwrap();
        found.is_some()
    };
    let revised = async |store: &Tested, account: &Account| {
        let found = store.revised_pipelines(account, None, 10).await.unwrap();
        found.len()
    };
    assert_eq!(revised(&store, &alice()).await, 1);
    let before = used(&store, &alice()).await;
    let forget = |before| write(PipelineWrite::ForgetRevisions(p, before));
    store.commit(forget(4)).await.unwrap();
    store.reopen().await;
    assert!(used(&store, &alice()).await < before);
    // A job runs the second one.
    for (revision, kept) in [(1, false), (2, true), (3, false), (4, true), (5, true)] {
        assert_eq!(is_kept(&store, revision).await, kept, "{revision}");
    }
    let state = store.pipeline(p).await.unwrap().unwrap();
    assert_eq!((state.oldest_revision, state.pipeline.revision), (4, 6));
    end_job(&store, job_id(10), at(2)).await;
    let remove = Write::RemoveJob(job_id(10));
    store.commit(Batch::of([remove])).await.unwrap();
    drop(state);
    store.reopen().await;
    assert!(!is_kept(&store, 2).await);
    // The newest one stays.
    store.commit(forget(100)).await.unwrap();
    store.reopen().await;
    let state = store.pipeline(p).await.unwrap().unwrap();
    assert_eq!(state.oldest_revision, state.pipeline.revision);
    assert_eq!(revised(&store, &alice()).await, 0);
    assert_eq!(revised(&store, &Account::Store).await, 0);
    let gone = PipelineWrite::ForgetRevisions(PipelineId(id(9)), 1);
    assert!(is_conflict(store.commit(write(gone)).await));
}
