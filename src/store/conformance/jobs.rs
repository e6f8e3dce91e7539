use std::{collections::BTreeSet, sync::Arc};

use crate::domain::{Job, JobFacts, JobId, JobState, Origin, PipelineSpec};

use super::{
    super::{Batch, FactsFilter, JobFilter, Write},
    Tested,
    world::*,
};

pub(crate) async fn a_conflict_is_found_for_jobs(mut store: Tested) {
    let p = stored(&store, &pipeline(1, "p")).await;
    let job = add_job(&store, new_job(&p, 10, 0, at(1))).await;
    let first = decided(&job, start(0), at(2));
    let second = decided(&job, cancel(), at(2));
    store.commit(job_batch(first)).await.unwrap();
    store.reopen().await;
    assert!(is_conflict(store.commit(job_batch(second)).await));
    let unknown = Job {
        origin: Arc::new(Origin {
            id: job_id(99),
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

pub(crate) async fn jobs_are_active_in_order_until_they_end(mut store: Tested) {
    let p = stored(&store, &pipeline(1, "p")).await;
    // In the order of their numbers, not of their ids.
    let first = add_job(&store, numbered_job(&p, 12, 1, 0, at(1))).await;
    let second = add_job(&store, numbered_job(&p, 11, 2, 0, at(1))).await;
    let check = async |store: &Tested, expected: &[JobId]| {
        assert_eq!(store.active_jobs(p.id).await.unwrap(), expected);
        let state = store.pipeline(p.id).await.unwrap().unwrap();
        assert_eq!(state.active_jobs, expected.len());
        assert_eq!(state.oldest_active_job.as_ref(), expected.first());
    };
    check(&store, &[first.id, second.id]).await;
    end_job(&store, first.id, at(2)).await;
    store.reopen().await;
    check(&store, &[second.id]).await;
    end_job(&store, second.id, at(2)).await;
    check(&store, &[]).await;
    assert_eq!(store.pipeline(p.id).await.unwrap().unwrap().jobs_created, 2);
}

pub(crate) async fn events_are_read_from_any_sequence(mut store: Tested) {
    let p = stored(&store, &pipeline(1, "p")).await;
    let job = add_job(&store, new_job(&p, 10, 0, at(1))).await;
    end_job(&store, job.id, at(2)).await;
    store.reopen().await;
    let job = store.job(job.id).await.unwrap().unwrap();
    let all = store.events(job.id, 0).await.unwrap().unwrap();
    assert_eq!(all.len() as i64, job.last_sequence);
    assert_eq!(Job::replay(all.iter()).as_ref(), Some(job.as_ref()));
    for seen in 0..=all.len() {
        let rest = store.events(job.id, seen as i64).await.unwrap().unwrap();
        assert_eq!(rest, all[seen..]);
    }
    assert_eq!(store.events(job.id, 1_000).await.unwrap().unwrap(), []);
    assert_eq!(store.events(job_id(99), 0).await.unwrap(), None);
}

pub(crate) async fn jobs_are_listed_by_state(mut store: Tested) {
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
            _ => end_job(&store, job.id, at(2)).await,
        }
    }
    store.reopen().await;
    let list = async |states: &[JobState], filter: JobFilter, before: u128, limit| {
        let filter = JobFilter {
            states: states.to_vec(),
            ..filter
        };
        let before = (before > 0).then(|| job_id(before));
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

pub(crate) async fn ended_jobs_expire_oldest_first(mut store: Tested) {
    let p = stored(&store, &pipeline(1, "p")).await;
    for (number, end) in [(10, 30), (11, 10), (12, 20), (13, 40)] {
        let job = add_job(&store, new_job(&p, number, 0, at(1))).await;
        end_after_running(&store, job.id, at(end)).await;
    }
    add_job(&store, new_job(&p, 14, 0, at(1))).await;
    store.reopen().await;
    let expired = async |store: &Tested, keep, before| {
        let expired = store.expired_jobs(keep, at(before)).await.unwrap();
        expired.iter().map(|id| id.0.as_u128()).collect::<Vec<_>>()
    };
    assert_eq!(expired(&store, 0, 100).await, [11, 12, 10, 13]);
    assert_eq!(expired(&store, 2, 100).await, [11, 12]);
    assert_eq!(expired(&store, 0, 30).await, [11, 12]);
    assert_eq!(expired(&store, 4, 100).await, [0u128; 0]);

    store
        .commit(Batch::of([Write::RemoveJob(job_id(11))]))
        .await
        .unwrap();
    store.reopen().await;
    assert!(store.job(job_id(11)).await.unwrap().is_none());
    assert_eq!(store.events(job_id(11), 0).await.unwrap(), None);
    assert_eq!(expired(&store, 0, 100).await, [12, 10, 13]);
    let listed = store
        .list_jobs(&JobFilter::default(), None, 100)
        .await
        .unwrap();
    assert_eq!(listed.len(), 4);

    // One that never ran a stage need not be old.
    end_job(&store, job_id(14), at(35)).await;
    store.reopen().await;
    assert_eq!(expired(&store, 0, 100).await, [12, 10, 14, 13]);
    assert_eq!(expired(&store, 0, 30).await, [12, 14]);
    assert_eq!(expired(&store, 3, 10).await, [14]);
    assert_eq!(expired(&store, 4, 10).await, [0u128; 0]);
}

pub(crate) async fn facts_outlive_their_jobs(mut store: Tested) {
    let p = stored(&store, &pipeline(1, "p")).await;
    let q = pipeline_with(2, "q", "other", PipelineSpec::default());
    let q = stored(&store, &q).await;
    // The clock may go back between the ends of two jobs.
    for (number, end) in [(10, 30), (11, 10), (12, 20), (13, 40)] {
        let of = if number == 12 { &q } else { &p };
        add_job(&store, new_job(of, number, 0, at(1))).await;
        let ended = decided(&*job(&store, job_id(number)).await, cancel(), at(end));
        let facts = JobFacts::of(&ended.job).expect("it has ended");
        let batch = [Write::Job(ended), Write::Facts(Arc::new(facts))];
        store.commit(Batch::of(batch)).await.unwrap();
    }
    let remove = Write::RemoveJob(job_id(11));
    store.commit(Batch::of([remove])).await.unwrap();
    store.reopen().await;
    let all = FactsFilter {
        limit: 100,
        ..FactsFilter::default()
    };
    let list = async |filter: FactsFilter| {
        let facts = store.facts(&filter).await.unwrap();
        let numbers = facts.iter().map(|facts| facts.job_id.0.as_u128());
        numbers.collect::<Vec<_>>()
    };
    assert_eq!(list(all.clone()).await, [11, 12, 10, 13]);
    let first = FactsFilter {
        limit: 2,
        ..all.clone()
    };
    assert_eq!(list(first).await, [11, 12]);
    let between = FactsFilter {
        since: Some(at(20)),
        before: Some(at(40)),
        ..all.clone()
    };
    assert_eq!(list(between).await, [12, 10]);
    let of_project = FactsFilter {
        project: Some("other".to_owned()),
        ..all.clone()
    };
    assert_eq!(list(of_project).await, [12]);
    let of_pipeline = FactsFilter {
        pipeline_id: Some(p.id),
        ..all
    };
    assert_eq!(list(of_pipeline).await, [11, 10, 13]);
}
