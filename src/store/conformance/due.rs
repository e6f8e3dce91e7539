use bytes::Bytes;

use super::{
    super::{Batch, ClaimedWork, DueWork, DueWrite, WorkKey, Write},
    Tested,
    world::*,
};

fn key(name: &str) -> WorkKey {
    WorkKey {
        kind: "work",
        key: name.to_owned(),
    }
}

fn work(name: &str, time: u64, order_key: Option<&str>) -> DueWork {
    DueWork {
        key: key(name),
        at: at(time),
        order_key: order_key.map(str::to_owned),
        attempts: 0,
        body: Bytes::from(format!("body of {name}")),
    }
}

fn batch(write: DueWrite) -> Batch {
    Batch::of([Write::Due(write)])
}

async fn add(store: &Tested, work: DueWork) {
    store.commit(batch(DueWrite::Add(work))).await.unwrap();
}

/// Claims for 10 s.
async fn claim(store: &Tested, now: u64, limit: usize) -> Vec<ClaimedWork> {
    let claimed = store.claim_due("work", id(7), at(now), at(now + 10), limit);
    claimed.await.unwrap()
}

fn names(claimed: &[ClaimedWork]) -> String {
    let names = claimed.iter().map(|one| one.work.key.key.as_str());
    names.collect()
}

pub(crate) async fn work_is_claimed_when_it_is_due(mut store: Tested) {
    assert_eq!(store.next_due("work").await.unwrap(), None);
    for (name, time) in [("c", 30), ("a", 10), ("b", 20), ("d", 20)] {
        add(&store, work(name, time, None)).await;
    }
    store.reopen().await;
    assert_eq!(store.count_due("work").await.unwrap(), 4);
    assert_eq!(store.count_due("other").await.unwrap(), 0);
    assert_eq!(store.next_due("work").await.unwrap(), Some(at(10)));
    assert_eq!(claim(&store, 9, 10).await, []);
    let claimed = claim(&store, 20, 2).await;
    assert_eq!(names(&claimed), "ab");
    let first = &claimed[0];
    assert_eq!(first.work.body, Bytes::from("body of a"));
    assert_eq!((first.work.attempts, first.work.at), (1, at(10)));
    assert!(claimed[1].token > first.token);
    store.reopen().await;
    assert_eq!(names(&claim(&store, 20, 10).await), "d");
    assert_eq!(claim(&store, 29, 10).await, []);
    assert_eq!(store.count_due("work").await.unwrap(), 4);
    let done = batch(DueWrite::Done(key("a"), first.token));
    store.commit(done).await.unwrap();
    store.reopen().await;
    assert_eq!(store.count_due("work").await.unwrap(), 3);
    store
        .commit(batch(DueWrite::Cancel(key("c"))))
        .await
        .unwrap();
    store
        .commit(batch(DueWrite::Cancel(key("b"))))
        .await
        .unwrap();
    store
        .commit(batch(DueWrite::Cancel(key("b"))))
        .await
        .unwrap();
    assert_eq!(names(&claim(&store, 99, 10).await), "d");
}

pub(crate) async fn work_with_an_expired_claim_is_claimed_again(mut store: Tested) {
    add(&store, work("a", 10, None)).await;
    let first = claim(&store, 10, 10).await;
    assert_eq!(store.next_due("work").await.unwrap(), Some(at(20)));
    store.reopen().await;
    assert_eq!(claim(&store, 19, 10).await, []);
    let second = claim(&store, 20, 10).await;
    assert_eq!((names(&second).as_str(), second[0].work.attempts), ("a", 2));
    assert!(second[0].token > first[0].token);
    let again = DueWrite::Again(key("a"), second[0].token, at(50));
    store.commit(batch(again)).await.unwrap();
    store.reopen().await;
    assert_eq!(store.next_due("work").await.unwrap(), Some(at(50)));
    assert_eq!(claim(&store, 49, 10).await, []);
    let third = claim(&store, 50, 10).await;
    assert_eq!((third[0].work.attempts, third[0].work.at), (3, at(50)));
}

pub(crate) async fn writes_of_work_are_fenced(mut store: Tested) {
    add(&store, work("a", 10, None)).await;
    let unclaimed = batch(DueWrite::Done(key("a"), 0));
    assert!(is_conflict(store.commit(unclaimed).await));
    let first = claim(&store, 10, 1).await[0].token;
    let second = claim(&store, 20, 1).await[0].token;
    store.reopen().await;
    for write in [
        DueWrite::Done(key("a"), first),
        DueWrite::Again(key("a"), first, at(50)),
        DueWrite::Done(key("b"), second),
    ] {
        assert!(is_conflict(store.commit(batch(write)).await));
    }
    // An expired claim is still good until another worker has claimed the work.
    let again = DueWrite::Again(key("a"), second, at(40));
    store.commit(batch(again)).await.unwrap();
    let done = batch(DueWrite::Done(key("a"), second));
    assert!(
        is_conflict(store.commit(done).await),
        "it is no longer claimed"
    );
    store.reopen().await;
    let third = claim(&store, 40, 1).await[0].token;
    assert!(third > second);
    store
        .commit(batch(DueWrite::Done(key("a"), third)))
        .await
        .unwrap();
    let done = batch(DueWrite::Done(key("a"), third));
    assert!(is_conflict(store.commit(done).await));
}

pub(crate) async fn work_is_added_once(mut store: Tested) {
    add(&store, work("a", 10, None)).await;
    store.reopen().await;
    add(&store, work("a", 5, Some("order"))).await;
    let claimed = claim(&store, 10, 10).await;
    assert_eq!(names(&claimed), "a");
    assert_eq!(
        (claimed[0].work.at, &claimed[0].work.order_key),
        (at(10), &None)
    );
    add(&store, work("a", 1, None)).await;
    store.reopen().await;
    assert_eq!(claim(&store, 11, 10).await, []);
    let done = DueWrite::Done(key("a"), claimed[0].token);
    store.commit(batch(done)).await.unwrap();
    add(&store, work("a", 12, None)).await;
    let claimed = claim(&store, 12, 10).await;
    assert_eq!(claimed[0].work.attempts, 1);
}

pub(crate) async fn work_with_an_order_key_is_done_in_order(mut store: Tested) {
    for (name, time, order) in [
        ("c", 20, Some("x")),
        ("b", 10, Some("x")),
        ("a", 10, Some("x")),
        ("p", 15, Some("y")),
        ("z", 18, None),
    ] {
        add(&store, work(name, time, order)).await;
    }
    store.reopen().await;
    let claimed = claim(&store, 20, 10).await;
    assert_eq!(names(&claimed), "apz");
    store.reopen().await;
    assert_eq!(names(&claim(&store, 21, 10).await), "");
    // Work that is deferred blocks the work behind it.
    let again = DueWrite::Again(key("a"), claimed[0].token, at(40));
    store.commit(batch(again)).await.unwrap();
    store
        .commit(batch(DueWrite::Cancel(key("p"))))
        .await
        .unwrap();
    store
        .commit(batch(DueWrite::Cancel(key("z"))))
        .await
        .unwrap();
    store.reopen().await;
    assert_eq!(names(&claim(&store, 39, 10).await), "");
    assert_eq!(store.next_due("work").await.unwrap(), Some(at(40)));
    let claimed = claim(&store, 40, 10).await;
    assert_eq!(names(&claimed), "a");
    // Earlier work also waits until the claim ends.
    add(&store, work("0", 5, Some("x"))).await;
    assert_eq!(names(&claim(&store, 41, 10).await), "");
    let done = DueWrite::Done(key("a"), claimed[0].token);
    store.commit(batch(done)).await.unwrap();
    store.reopen().await;
    let claimed = claim(&store, 41, 10).await;
    assert_eq!(names(&claimed), "0");
    // After the claim has expired the work is first again.
    assert_eq!(names(&claim(&store, 51, 10).await), "0");
    store
        .commit(batch(DueWrite::Cancel(key("0"))))
        .await
        .unwrap();
    let claimed = claim(&store, 52, 10).await;
    assert_eq!(names(&claimed), "b");
    let done = DueWrite::Done(key("b"), claimed[0].token);
    store.commit(batch(done)).await.unwrap();
    store.reopen().await;
    assert_eq!(names(&claim(&store, 52, 10).await), "c");
}
