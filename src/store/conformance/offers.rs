use std::{collections::BTreeSet, sync::Arc};

use crate::domain::{FencingToken, SessionId};

use super::{
    super::{Acquisition, LeaseRequest, LeaseState, NotOffered, Store},
    Tested,
    runner_steps::*,
    world::*,
};

/// Takes offers until nothing is left, `expected` in all. The job of each offer
/// must be readable.
async fn take_all(store: Arc<dyn Store>, runner: u128, found: Arc<Found>) {
    while found.lock().len() < found.expected {
        match lease(&store, runner).await {
            Some(row) => {
                assert!(store.job(row.stage.job_id).await.unwrap().is_some());
                let is_new = found.lock().insert((row.token, row.stage));
                assert!(is_new);
            }
            None => tokio::task::yield_now().await,
        }
    }
}

struct Found {
    leases: parking_lot::Mutex<BTreeSet<(FencingToken, super::super::ReadyStage)>>,
    expected: usize,
}

impl Found {
    fn lock(
        &self,
    ) -> parking_lot::MutexGuard<'_, BTreeSet<(FencingToken, super::super::ReadyStage)>> {
        self.leases.lock()
    }
}

async fn take_during_commits(store: &Tested, jobs: usize, runners: u128) -> Arc<Found> {
    let p = stored(store, &parallel(1, &[&[]])).await;
    let found = Arc::new(Found {
        leases: Default::default(),
        expected: jobs,
    });
    let mut takers = Vec::new();
    for number in 1..=runners {
        let mut row = runner(number, &[]);
        row.registration.capacity = jobs;
        register(store, row).await;
        let task = take_all(store.shared(), number, Arc::clone(&found));
        takers.push(tokio::spawn(task));
    }
    for number in 0..jobs as u128 {
        add_job(store, new_job(&p, 1_000 + number, 0, at(1))).await;
    }
    for taker in takers {
        taker.await.unwrap();
    }
    found
}

pub(crate) async fn two_claimers_never_get_the_same_stage(store: Tested) {
    let found = take_during_commits(&store, 400, 4).await;
    let found = found.lock();
    let stages: BTreeSet<_> = found.iter().map(|(_, stage)| stage).collect();
    let tokens: BTreeSet<_> = found.iter().map(|(token, _)| token).collect();
    assert_eq!((stages.len(), tokens.len()), (400, 400));
}

/// An offer that runs concurrently with the commit of a new job can read the job.
pub(crate) async fn an_offered_job_can_be_read(store: Tested) {
    let found = take_during_commits(&store, 2_000, 1).await;
    assert_eq!(found.lock().len(), 2_000);
}

pub(crate) async fn tokens_only_increase(mut store: Tested) {
    let p = stored(&store, &parallel(1, &[&[], &[], &[]])).await;
    add_job(&store, new_job(&p, 10, 0, at(1))).await;
    add_job(&store, new_job(&p, 11, 0, at(1))).await;
    register(&store, runner(1, &[])).await;
    let mut last = FencingToken(0);
    for _ in 0..6 {
        let next = store.next_token().await.unwrap();
        let row = lease(&store, 1).await.unwrap();
        assert!(row.token > last && row.token >= next, "{last:?} {row:?}");
        assert!(store.next_token().await.unwrap() > row.token);
        last = row.token;
        store.reopen().await;
        // A released stage gets another token with its next lease.
        if last.0 % 2 == 0 {
            store.release(row.id, row.token).await.unwrap();
            let row = lease(&store, 1).await.unwrap();
            assert!(row.token > last);
            last = row.token;
            store.reopen().await;
        }
    }
}

pub(crate) async fn a_repeated_request_gets_its_lease_again(mut store: Tested) {
    let p = stored(&store, &parallel(1, &[&[], &[]])).await;
    add_job(&store, new_job(&p, 10, 0, at(1))).await;
    let mut row = runner(1, &[]);
    row.registration.capacity = 1;
    register(&store, row).await;
    let first = request(1);
    let offered = store.offer(first.clone()).await.unwrap();
    let Acquisition::Lease(row) = offered else {
        panic!("{offered:?}");
    };
    assert_eq!((row.id, row.state), (first.lease_id, LeaseState::Offered));
    assert_eq!((row.expires, row.ends_by), (at(OFFERED_UNTIL), None));
    assert_eq!(row.request_id, first.request_id);
    store.reopen().await;
    // Even if the runner has no free slot, and whatever lease id the request suggests.
    let again = LeaseRequest {
        lease_id: request(1).lease_id,
        now: at(OFFERED_UNTIL - 1),
        ..first.clone()
    };
    assert_eq!(store.offer(again).await.unwrap(), offered);
    begin(&store, &row).await;
    store.reopen().await;
    let again = LeaseRequest {
        now: at(CONFIRMED_UNTIL - 1),
        ..first.clone()
    };
    let repeated = store.offer(again).await.unwrap();
    assert!(matches!(repeated, Acquisition::Lease(again)
        if again.id == row.id && again.state == LeaseState::Confirmed));
    // A lease that is no longer live is not returned again.
    let late = LeaseRequest {
        now: at(CONFIRMED_UNTIL),
        ..first
    };
    let late = store.offer(late).await.unwrap();
    assert_eq!(late, Acquisition::None(NotOffered::NoRoom));
}

pub(crate) async fn a_runner_gets_no_more_than_it_can_hold(mut store: Tested) {
    let p = stored(&store, &parallel(1, &[&[], &[], &[]])).await;
    add_job(&store, new_job(&p, 10, 0, at(1))).await;
    let mut row = runner(1, &[]);
    row.registration.capacity = 2;
    register(&store, row).await;
    let first = lease(&store, 1).await.unwrap();
    lease(&store, 1).await.unwrap();
    store.reopen().await;
    let answer = async |store: &Tested| store.offer(request(1)).await.unwrap();
    let no_room = Acquisition::None(NotOffered::NoRoom);
    assert_eq!(answer(&store).await, no_room);
    store.release(first.id, first.token).await.unwrap();
    let third = lease(&store, 1).await.unwrap();
    assert_eq!(third.stage, first.stage);
    begin(&store, &third).await;
    store.reopen().await;
    assert_eq!(answer(&store).await, no_room);
    complete(&store, &third, crate::domain::Outcome::Succeeded).await;
    store.reopen().await;
    lease(&store, 1).await.unwrap();
    assert_eq!(answer(&store).await, no_room);
    // A void lease takes no slot.
    let due = store.due_leases(at(OFFERED_UNTIL)).await.unwrap();
    assert_eq!(due.len(), 2);
    store.reopen().await;
    let nothing = Acquisition::None(NotOffered::NothingReady);
    assert_eq!(answer(&store).await, nothing);
}

pub(crate) async fn an_unregistered_runner_gets_nothing(mut store: Tested) {
    let p = stored(&store, &pipeline(1, "p")).await;
    add_job(&store, new_job(&p, 10, 0, at(1))).await;
    let unregistered = Acquisition::None(NotOffered::Unregistered);
    assert_eq!(store.offer(request(1)).await.unwrap(), unregistered);
    register(&store, runner(1, &[])).await;
    store.reopen().await;
    let of_another_session = LeaseRequest {
        session_id: SessionId(id(77)),
        ..request(1)
    };
    let offered = store.offer(of_another_session).await.unwrap();
    assert_eq!(offered, unregistered);
    assert_eq!(store.ready_stages().await.unwrap(), 1);
}
