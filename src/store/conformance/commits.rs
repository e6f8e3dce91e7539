use std::sync::Arc;

use crate::domain::{JobState, PipelineId};

use super::{
    super::{
        Batch, BatchId, CommitError, JobFilter, PipelineFilter, PipelineWrite, RecordWrite, Write,
    },
    Tested,
    picture::picture,
    runner_steps::OWNER,
    scene::{Scene, key, record},
    world::*,
};

pub(crate) async fn a_commit_is_all_or_nothing(mut store: Tested) {
    let p = stored(&store, &pipeline(1, "p")).await;
    let job = add_job(&store, new_job(&p, 10, 0, at(1))).await;
    // The last write is stale, so the others must not be applied either.
    let stale = decided(&job, cancel(), at(2));
    tell(&store, job.id, start(0), at(2)).await;
    let state = store.pipeline(p.id).await.unwrap().unwrap();
    let batch = Batch::of([
        Write::Pipeline(PipelineWrite::AddJob(p.id, state.version)),
        Write::Job(new_job(&p, 11, 0, at(2))),
        Write::Job(stale),
    ]);
    assert!(is_conflict(store.commit(batch).await));
    store.reopen().await;
    assert!(store.job(job_id(11)).await.unwrap().is_none());
    let after = store.pipeline(p.id).await.unwrap().unwrap();
    assert_eq!((after.version, after.jobs_created), (state.version, 1));
    let job = store.job(job.id).await.unwrap().unwrap();
    assert_eq!(job.state, JobState::Running);
}

pub(crate) async fn one_stale_write_rejects_the_whole_batch(mut store: Tested) {
    let scene = Scene::in_store(&store).await;
    let before = picture(&*store).await;
    for (name, stale) in scene.stale(&store).await {
        // Independent of its position in the batch.
        for is_first in [true, false] {
            let mut batch = scene.good(&store).await;
            let parts = scene.stale(&store).await;
            let (_, part) = parts.into_iter().find(|(part, _)| *part == name).unwrap();
            let at = if is_first { 0 } else { batch.writes.len() };
            batch.writes.splice(at..at, part.writes);
            batch.preconditions.extend(part.preconditions);
            batch.answer = part.answer.or(batch.answer);
            let result = store.commit(batch).await;
            match name {
                "name" => assert!(matches!(result, Err(CommitError::NameTaken { .. }))),
                "answer" => assert!(matches!(result, Err(CommitError::Answered(_)))),
                _ => assert!(is_conflict(result), "{name}"),
            }
            assert_eq!(picture(&*store).await, before, "{name}");
            assert_eq!(
                store.answer(&key(2), super::world::at(5)).await.unwrap(),
                None,
                "{name}"
            );
            let was_committed = store.was_committed(BatchId(4_711)).await.unwrap();
            assert!(!was_committed, "{name}");
        }
        drop(stale);
    }
    store.reopen().await;
    let good = scene.good(&store).await;
    store.commit(good).await.unwrap();
}

pub(crate) async fn a_batch_of_many_scopes_changes_all_of_them(mut store: Tested) {
    let scene = Scene::in_store(&store).await;
    let batch = scene.good(&store).await;
    store.commit(batch).await.unwrap();
    store.reopen().await;
    let [one, two, _] = &scene.pipelines;
    let active = store.active_jobs(one.id).await.unwrap();
    assert_eq!(active, [job_id(10), job_id(11)]);
    assert!(store.pipeline(two.id).await.unwrap().is_none());
    let new = store.pipeline(PipelineId(id(4))).await.unwrap();
    assert!(new.is_some());
    assert_eq!(job(&store, job_id(20)).await.state, JobState::Cancelled);
    assert!(store.job(job_id(30)).await.unwrap().is_none());
    let held = store.runner(runner_id(1)).await.unwrap().unwrap().leases;
    assert_eq!(held, [scene.offered]);
    let void = scene.void;
    assert_eq!(store.lease(void.id, void.token, OWNER).await.unwrap(), None);
    assert_eq!(store.bindings(job_id(10)).await.unwrap(), []);
    let lost = store.lost_workspaces(job_id(10)).await.unwrap();
    assert_eq!(lost.len(), 1);
    for (key, version) in [("a", 2), ("b", 1)] {
        let record = store.record("things", key).await.unwrap().unwrap();
        assert_eq!(record.version, version);
    }
    assert_eq!(store.count_due("work").await.unwrap(), 1);
    assert!(store.answer(&key(2), at(5)).await.unwrap().is_some());
}

pub(crate) async fn a_batch_is_remembered_by_its_id(mut store: Tested) {
    let commit = async |store: &Tested, id| {
        let batch = Batch {
            id: BatchId(id),
            ..Batch::default()
        };
        store.commit(batch).await.unwrap();
    };
    commit(&store, 1).await;
    commit(&store, 0).await;
    store.reopen().await;
    let known = async |store: &Tested, id| store.was_committed(BatchId(id)).await.unwrap();
    assert!(known(&store, 1).await);
    assert!(!known(&store, 0).await, "it has no id");
    assert!(!known(&store, 2).await);
    // The store remembers at least ten thousand.
    for number in 2..10_001 {
        commit(&store, number).await;
    }
    assert!(known(&store, 1).await);
}

/// Many writers that load, decide and retry: no change is lost, and concurrent
/// readers of lists do not starve anyone.
pub(crate) async fn concurrent_commits_lose_nothing(mut store: Tested) {
    const WRITERS: u128 = 8;
    const JOBS: u128 = 50;
    let p = stored(&store, &pipeline(1, "p")).await;
    let writers = (0..WRITERS).map(|writer| {
        let (store, p) = (store.shared(), Arc::clone(&p));
        tokio::spawn(async move {
            for number in 0..JOBS {
                let number = 1_000 + writer * JOBS + number;
                loop {
                    let version = store.pipeline(p.id).await.unwrap().unwrap().version;
                    let batch = Batch::of([
                        Write::Pipeline(PipelineWrite::AddJob(p.id, version)),
                        Write::Job(new_job(&p, number, 0, at(1))),
                    ]);
                    match store.commit(batch).await {
                        Ok(()) => break,
                        Err(CommitError::Conflict) => tokio::task::yield_now().await,
                        Err(error) => panic!("{error}"),
                    }
                }
                end_job(&store, job_id(number), at(2)).await;
                let all = JobFilter::default();
                store.list_jobs(&all, None, 10).await.unwrap();
                let all = PipelineFilter::default();
                store.list_pipelines(&all, None, 10).await.unwrap();
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    store.reopen().await;
    let state = store.pipeline(p.id).await.unwrap().unwrap();
    assert_eq!(state.jobs_created, i64::try_from(WRITERS * JOBS).unwrap());
    assert_eq!(state.active_jobs, 0);
    let all = JobFilter::default();
    let listed = store.list_jobs(&all, None, 1_000).await.unwrap();
    assert_eq!(listed.len() as u128, WRITERS * JOBS);
}

/// Batches that each name the same pipelines and records in a different order.
pub(crate) async fn batches_with_crossed_scopes_do_not_deadlock(store: Tested) {
    const ROUNDS: u64 = 100;
    let mut ids = Vec::new();
    for number in 1..=3 {
        ids.push(
            stored(&store, &pipeline(number, &format!("p{number}")))
                .await
                .id,
        );
    }
    let writers = (0..6).map(|writer: usize| {
        let (store, mut ids) = (store.shared(), ids.clone());
        ids.rotate_left(writer % 3);
        tokio::spawn(async move {
            let mut made = 0;
            while made < ROUNDS {
                let mut writes = Vec::new();
                for id in &ids {
                    let version = store.pipeline(*id).await.unwrap().unwrap().version;
                    writes.push(Write::Pipeline(PipelineWrite::AddJob(*id, version)));
                }
                let found = store.record("things", "a").await.unwrap();
                let version = found.map_or(1, |record| record.version + 1);
                writes.push(Write::Record(RecordWrite::Put(
                    "things",
                    record("a", version),
                )));
                match store.commit(Batch::of(writes)).await {
                    Ok(()) => made += 1,
                    Err(CommitError::Conflict) => tokio::task::yield_now().await,
                    Err(error) => panic!("{error}"),
                }
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    let found = store.record("things", "a").await.unwrap().unwrap();
    assert_eq!(found.version, 6 * ROUNDS);
    for id in ids {
        let state = store.pipeline(id).await.unwrap().unwrap();
        assert_eq!(state.version, 1 + 6 * ROUNDS);
    }
}
