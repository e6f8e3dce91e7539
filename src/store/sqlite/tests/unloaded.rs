//! Jobs that have ended and are not in memory.

use std::sync::Arc;

use tempfile::TempDir;

use crate::{
    domain::{JobId, JobState},
    store::{
        Account, Batch, CommitError, DurableStore, JobFilter, Precondition, Store, Write,
        conformance::world::{
            add_job, at, end_after_running, end_job, job, job_id, new_job, pipeline, pipeline_with,
            stored,
        },
    },
};

use super::options;

/// Jobs 1 to 6 of project `default`: 1 to 4 have ended, 5 and 6 are active.
async fn store(directory: &TempDir) -> Arc<dyn Store> {
    let (store, _) = DurableStore::open_directory(&options(directory.path())).unwrap();
    let store: Arc<dyn Store> = Arc::new(store);
    let pipeline = stored(&store, &pipeline(1, "p")).await;
    for number in 1..=6 {
        add_job(&store, new_job(&pipeline, number, 0, at(1))).await;
    }
    for number in 1..=2 {
        end_after_running(&store, job_id(number), at(10)).await;
    }
    end_job(&store, job_id(3), at(11)).await;
    end_job(&store, job_id(4), at(20)).await;
    store
}

async fn list(store: &Arc<dyn Store>, filter: &JobFilter, before: Option<JobId>) -> Vec<u128> {
    let jobs = store.list_jobs(filter, before, 3).await.unwrap();
    jobs.iter().map(|job| job.id.0.as_u128()).collect()
}

#[tokio::test]
async fn an_unloaded_job_reads_as_before() {
    let directory = TempDir::new().unwrap();
    let store = store(&directory).await;
    let mut before = Vec::new();
    for number in 1..=6 {
        let events = store.events(job_id(number), 1).await.unwrap();
        before.push((job(&store, job_id(number)).await, events));
    }
    let used = store.used(&Account::Store).await.unwrap();
    assert_eq!(store.unload_before(at(20)).await.unwrap(), 3);
    assert!(store.used(&Account::Store).await.unwrap() < used);
    assert!(
        !store.unload_job(job_id(1)).await.unwrap(),
        "it was unloaded"
    );
    assert!(!store.unload_job(job_id(5)).await.unwrap(), "it is active");
    for (known, events) in before {
        assert_eq!(job(&store, known.id).await, known);
        assert_eq!(store.events(known.id, 1).await.unwrap(), events);
    }
    assert_eq!(store.events(job_id(7), 0).await.unwrap(), None);
}

#[tokio::test]
async fn lists_have_loaded_and_unloaded_jobs_in_order() {
    let directory = TempDir::new().unwrap();
    let store = store(&directory).await;
    store.unload_before(at(20)).await.unwrap();
    let all = JobFilter::default();
    assert_eq!(list(&store, &all, None).await, [6, 5, 4]);
    assert_eq!(list(&store, &all, Some(job_id(4))).await, [3, 2, 1]);
    let cancelled = JobFilter {
        states: vec![JobState::Cancelled],
        ..JobFilter::default()
    };
    assert_eq!(list(&store, &cancelled, None).await, [4, 3, 2]);
    let of_project = |project: &str| JobFilter {
        projects: Some([project.to_owned()].into()),
        states: vec![JobState::Cancelled, JobState::Queued],
        ..JobFilter::default()
    };
    assert_eq!(
        list(&store, &of_project("default"), Some(job_id(6))).await,
        [5, 4, 3]
    );
    assert!(list(&store, &of_project("other"), None).await.is_empty());
    let pipeline_id = job(&store, job_id(1)).await.pipeline.id;
    let of_pipeline = JobFilter {
        pipeline_id: Some(pipeline_id),
        ..of_project("default")
    };
    assert_eq!(list(&store, &of_pipeline, Some(job_id(4))).await, [3, 2, 1]);
    let foreign = JobFilter {
        pipeline_id: Some(pipeline_id),
        ..of_project("other")
    };
    assert!(list(&store, &foreign, None).await.is_empty());
}

#[tokio::test]
async fn unloaded_jobs_expire_and_are_removed() {
    let directory = TempDir::new().unwrap();
    let store = store(&directory).await;
    store.unload_before(at(100)).await.unwrap();
    let expired = store.expired_jobs(1, at(1_000)).await.unwrap();
    assert_eq!(expired.len(), 3);
    // Those that ran and are too young stay.
    let expired = store.expired_jobs(0, at(10)).await.unwrap();
    assert_eq!(expired, [job_id(3), job_id(4)]);
    let remove = Batch::of([Write::RemoveJob(job_id(1))]);
    store.commit(remove).await.unwrap();
    assert_eq!(store.job(job_id(1)).await.unwrap(), None);
    assert_eq!(store.events(job_id(1), 0).await.unwrap(), None);
    assert_eq!(store.expired_jobs(2, at(1_000)).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_project_with_unloaded_jobs_is_not_empty() {
    let directory = TempDir::new().unwrap();
    let (store, _) = DurableStore::open_directory(&options(directory.path())).unwrap();
    let store: Arc<dyn Store> = Arc::new(store);
    let pipeline = stored(&store, &pipeline_with(1, "p", "other", Default::default())).await;
    add_job(&store, new_job(&pipeline, 1, 0, at(1))).await;
    end_job(&store, job_id(1), at(2)).await;
    let version = store.pipeline(pipeline.id).await.unwrap().unwrap().version;
    let delete = crate::store::PipelineWrite::Delete(pipeline.id, version);
    store
        .commit(Batch::of([Write::Pipeline(delete)]))
        .await
        .unwrap();
    store.unload_before(at(100)).await.unwrap();
    let empty = || Batch {
        preconditions: vec![Precondition::ProjectIsEmpty("other".to_owned())],
        ..Batch::default()
    };
    let refused = store.commit(empty()).await;
    assert!(matches!(refused, Err(CommitError::Conflict)));
    store
        .commit(Batch::of([Write::RemoveJob(job_id(1))]))
        .await
        .unwrap();
    store.commit(empty()).await.unwrap();
}

#[tokio::test]
async fn a_start_loads_only_what_ended_lately() {
    let directory = TempDir::new().unwrap();
    drop(store(&directory).await);
    let options = super::Options {
        loaded_since: at(20),
        ..options(directory.path())
    };
    let (store, opened) = DurableStore::open_directory(&options).unwrap();
    assert_eq!((opened.active_jobs, opened.ended_jobs), (2, 4));
    let store: Arc<dyn Store> = Arc::new(store);
    let loaded = store.ended_jobs(&Account::Store, None, 10).await.unwrap();
    assert_eq!(
        loaded.iter().map(|job| job.id).collect::<Vec<_>>(),
        [job_id(4)]
    );
    assert_eq!(
        list(&store, &JobFilter::default(), Some(job_id(4))).await,
        [3, 2, 1]
    );
}
