use std::{
    future::poll_fn,
    sync::{Arc, Mutex},
    task::Poll,
};

use bytes::Bytes;

use crate::domain::Outcome;

use super::{
    super::{
        Batch, Change, CommitSubscriber, Committed, DueWork, DueWrite, LeaseWrite, PipelineWrite,
        Record, RecordWrite, WorkKey, Write,
    },
    Tested,
    runner_steps::*,
    world::*,
};

/// Records the notifications, a line for each commit.
#[derive(Default)]
struct Told(Mutex<Vec<String>>);

impl CommitSubscriber for Told {
    fn committed(&self, committed: &Committed) {
        let words: Vec<String> = committed.changes.iter().map(word).collect();
        self.0.lock().unwrap().push(words.join(" "));
    }
}

impl Told {
    fn to(store: &impl AnyStore) -> Arc<Self> {
        let told = Arc::new(Self::default());
        store.subscribe(Arc::clone(&told) as Arc<dyn CommitSubscriber>);
        told
    }

    /// The notifications since the last call.
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

fn word(change: &Change) -> String {
    match change {
        Change::Job(change) => {
            let (id, last) = (change.job.id.0.as_u128(), change.job.last_sequence);
            let is = |flag, name| if flag { name } else { "" };
            let (new, over) = (is(change.is_new, " new"), is(change.is_over, " over"));
            format!("job-{id}@{last}{new}{over}")
        }
        Change::LeaseEnded(runner) => format!("ended-{}", runner.0.as_u128()),
        Change::LeaseDue => "due".to_owned(),
        Change::Runners => "runners".to_owned(),
        Change::WorkspaceLost(job) => format!("lost-{}", job.0.as_u128()),
        Change::Due(kind) => format!("work-{kind}"),
        Change::Record(collection) => format!("record-{collection}"),
    }
}

fn thing(version: u64) -> Write {
    let record = Record {
        key: "a".to_owned(),
        project: String::new(),
        principal: String::new(),
        version,
        body: Bytes::new(),
        expires: Some(at(10)),
        indexes: Vec::new(),
    };
    Write::Record(RecordWrite::Put("things", record))
}

fn work() -> Write {
    let key = WorkKey {
        kind: "work",
        key: "a".to_owned(),
    };
    Write::Due(DueWrite::Add(DueWork {
        key,
        at: at(1),
        order_key: None,
        attempts: 0,
        body: Bytes::new(),
    }))
}

pub(crate) async fn a_subscriber_is_notified_of_each_commit_once(mut store: Tested) {
    let told = Told::to(&store);
    let p = stored(&store, &pipeline(1, "p")).await;
    assert_eq!(told.take(), [""], "a new pipeline notifies no one");
    add_job(&store, new_job(&p, 10, 0, at(1))).await;
    assert_eq!(told.take(), ["job-10@2 new"]);
    let stale = decided(&*job(&store, job_id(10)).await, cancel(), at(2));
    register(&store, runner(1, &[])).await;
    let row = lease(&store, 1).await.unwrap();
    told.take();
    begin(&store, &row).await;
    assert_eq!(
        told.take(),
        ["job-10@4"],
        "it is due later than as an offer"
    );
    // A failed commit notifies no one.
    assert!(is_conflict(store.commit(job_batch(stale)).await));
    assert!(is_conflict(store.commit(Batch::of([thing(7)])).await));
    let taken = PipelineWrite::Create(pipeline(2, "p"));
    assert!(store.commit(write(taken)).await.is_err());
    assert_eq!(told.take(), [""; 0]);
    complete(&store, &row, Outcome::Succeeded).await;
    assert_eq!(told.take(), ["job-10@6 ended-1"]);
    let batch = Batch::of([thing(1), work()]);
    store.commit(batch).await.unwrap();
    assert_eq!(told.take(), ["record-things work-work"]);

    store.reopen().await;
    let told = Told::to(&store);
    end_job(&store, job_id(10), at(3)).await;
    let told = told.take();
    assert!(told.len() == 1 && told[0].ends_with(" over"), "{told:?}");
}

pub(crate) async fn a_subscriber_is_notified_of_what_no_batch_changed(mut store: Tested) {
    let p = stored(&store, &parallel(1, &[&[], &[]])).await;
    add_job(&store, new_job(&p, 10, 0, at(1))).await;
    store.reopen().await;
    let told = Told::to(&store);
    register(&store, runner(1, &[])).await;
    assert_eq!(told.take(), ["runners due"]);
    register(&store, runner(1, &[])).await;
    assert_eq!(told.take(), [""; 0], "it was only seen");
    let first = lease(&store, 1).await.unwrap();
    assert_eq!(told.take(), ["due"]);
    let later = super::super::LeaseRequest {
        expires: at(OFFERED_UNTIL + 1),
        ..request(1)
    };
    store.offer(later).await.unwrap();
    assert_eq!(told.take(), [""; 0], "another one is due before it");
    begin(&store, &first).await;
    told.take();
    store
        .renew(first.id, first.token, at(120), at(200))
        .await
        .unwrap();
    store
        .live_lease(first.id, first.token, OWNER, at(120))
        .await
        .unwrap();
    assert_eq!(told.take(), [""; 0]);
    store.set_draining(runner_id(1), true).await.unwrap();
    assert_eq!(told.take(), ["runners"]);
    let due = store.due_leases(at(OFFERED_UNTIL + 1)).await.unwrap();
    assert_eq!(told.take(), [""; 0]);
    store.release(due[0].id, due[0].token).await.unwrap();
    assert_eq!(told.take(), ["runners"]);
    store.release(due[0].id, due[0].token).await.unwrap();
    assert_eq!(told.take(), [""; 0]);

    store.due_leases(at(200)).await.unwrap();
    let (id, token) = (first.id, first.token);
    let settle = Write::Lease(LeaseWrite::Settle { id, token });
    let lose = Write::Lease(LeaseWrite::LoseWorkspace {
        job_id: job_id(10),
        lost: crate::domain::LostWorkspace {
            runner_id: runner_id(1),
            offer: offer(&[]),
            before: store.next_token().await.unwrap(),
        },
    });
    store.commit(Batch::of([settle, lose])).await.unwrap();
    assert_eq!(told.take(), ["lost-10 ended-1"]);
    store.commit(Batch::of([thing(1)])).await.unwrap();
    told.take();
    store.remove_expired_records(at(9)).await.unwrap();
    assert_eq!(told.take(), [""; 0]);
    store.remove_expired_records(at(10)).await.unwrap();
    assert_eq!(told.take(), ["record-things"]);
}

/// If the caller is dropped after its first poll, the commit either is made and
/// notified, or is never made.
pub(crate) async fn a_dropped_commit_notifies_if_it_was_made(store: Tested) {
    let told = Told::to(&store);
    let p = stored(&store, &pipeline(1, "p")).await;
    told.take();
    for number in 10..60 {
        let version = store.pipeline(p.id).await.unwrap().unwrap().version;
        let batch = Batch::of([
            Write::Pipeline(PipelineWrite::AddJob(p.id, version)),
            Write::Job(new_job(&p, number, 0, at(1))),
        ]);
        let mut commit = store.commit(batch);
        poll_fn(|context| {
            let _ = commit.as_mut().poll(context);
            Poll::Ready(())
        })
        .await;
        drop(commit);
        // It may continue without its caller, but it ends.
        store.settled(store.mark()).await.unwrap();
        let is_made = store.job(job_id(number)).await.unwrap().is_some();
        let expected = format!("job-{number}@2 new");
        let expected: &[String] = if is_made { &[expected] } else { &[] };
        assert_eq!(told.take(), expected);
    }
}
