use std::sync::Arc;

use bytes::Bytes;

use super::{
    super::{
        Batch, PipelineFilter, PipelineWrite, Precondition, Record, RecordWrite, Store, Write,
    },
    Tested,
    world::*,
};

fn project_is(version: u64) -> Precondition {
    Precondition::RecordVersion {
        collection: "projects",
        key: "team".to_owned(),
        version,
    }
}

fn put_project(version: u64) -> Write {
    let record = Record {
        key: "team".to_owned(),
        project: String::new(),
        principal: String::new(),
        version,
        body: Bytes::new(),
        expires: None,
        indexes: Vec::new(),
    };
    Write::Record(RecordWrite::Put("projects", record))
}

fn delete_project(version: u64) -> Batch {
    let delete = RecordWrite::Delete("projects", "team".to_owned(), version);
    Batch {
        preconditions: vec![Precondition::ProjectIsEmpty("team".to_owned())],
        ..Batch::of([Write::Record(delete)])
    }
}

fn create(number: u128, wanted: Precondition) -> Batch {
    let pipeline = pipeline_with(number, &format!("p{number}"), "team", Default::default());
    Batch {
        preconditions: vec![wanted],
        ..Batch::of([Write::Pipeline(PipelineWrite::Create(pipeline))])
    }
}

pub(crate) async fn a_precondition_must_hold(mut store: Tested) {
    assert!(is_conflict(store.commit(create(1, project_is(1))).await));
    store.commit(create(1, project_is(0))).await.unwrap();
    store.commit(Batch::of([put_project(1)])).await.unwrap();
    store.reopen().await;
    assert!(is_conflict(store.commit(create(2, project_is(0))).await));
    assert!(is_conflict(store.commit(create(2, project_is(2))).await));
    store.commit(create(2, project_is(1))).await.unwrap();
    store.commit(Batch::of([put_project(2)])).await.unwrap();
    store.reopen().await;
    assert!(is_conflict(store.commit(create(3, project_is(1))).await));
    // The condition is checked against the state before the batch, not against the
    // batch's writes.
    let both = Batch {
        preconditions: vec![project_is(2)],
        ..Batch::of([put_project(3)])
    };
    store.commit(both).await.unwrap();
    let all = PipelineFilter::default();
    let listed = store.list_pipelines(&all, None, 10).await.unwrap();
    assert_eq!(listed.len(), 2);
}

pub(crate) async fn a_project_is_empty_without_pipelines_and_jobs(mut store: Tested) {
    store.commit(Batch::of([put_project(1)])).await.unwrap();
    store.commit(create(1, project_is(1))).await.unwrap();
    store.reopen().await;
    assert!(is_conflict(store.commit(delete_project(1)).await));
    let p = store.pipeline(crate::domain::PipelineId(id(1))).await;
    let p = p.unwrap().unwrap().pipeline;
    add_job(&store, new_job(&p, 10, 0, at(1))).await;
    end_job(&store, job_id(10), at(2)).await;
    let delete = PipelineWrite::Delete(p.id, 2);
    store.commit(write(delete)).await.unwrap();
    store.reopen().await;
    assert!(
        is_conflict(store.commit(delete_project(1)).await),
        "a job is kept"
    );
    let remove = Write::RemoveJob(job_id(10));
    store.commit(Batch::of([remove])).await.unwrap();
    store.reopen().await;
    store.commit(delete_project(1)).await.unwrap();
    assert_eq!(store.record("projects", "team").await.unwrap(), None);
}

/// Whichever of the two comes first, the other one is a conflict.
pub(crate) async fn no_pipeline_is_created_in_a_deleted_project(store: Tested) {
    for number in 0..200 {
        store.commit(Batch::of([put_project(1)])).await.unwrap();
        let commit = |batch| {
            let store: Arc<dyn Store> = store.shared();
            tokio::spawn(async move { store.commit(batch).await.is_ok() })
        };
        let created = commit(create(number, project_is(1)));
        let deleted = commit(delete_project(1));
        let (created, deleted) = (created.await.unwrap(), deleted.await.unwrap());
        assert!(created != deleted, "{created} {deleted}");
        if created {
            let id = crate::domain::PipelineId(id(number));
            let delete = PipelineWrite::Delete(id, 1);
            store.commit(write(delete)).await.unwrap();
            store.commit(delete_project(1)).await.unwrap();
        }
    }
}
