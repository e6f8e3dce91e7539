use crate::domain::{LostWorkspace, Outcome, SessionId};

use super::{
    super::{Acquisition, Batch, LeaseState, LeaseWrite, NotOffered, RunnerRow, Write},
    Tested,
    presence::{none_waits, one_waits, presence},
    runner_steps::*,
    world::*,
};

fn of_session(number: u128, row: RunnerRow) -> RunnerRow {
    let mut row = row;
    row.registration.session_id = SessionId(id(number));
    row
}

pub(crate) async fn a_session_replaces_the_previous_one(mut store: Tested) {
    let p = stored(&store, &parallel(1, &[&[], &[], &[]])).await;
    add_job(&store, new_job(&p, 10, 0, at(1))).await;
    assert!(!register(&store, runner(1, &[])).await);
    let started = lease(&store, 1).await.unwrap();
    begin(&store, &started).await;
    let offered = lease(&store, 1).await.unwrap();
    store.set_draining(runner_id(1), true).await.unwrap();
    store.reopen().await;
    // A known session only updates the time at which it was seen.
    let renamed = RunnerRow {
        last_seen: at(110),
        register_time: at(110),
        ..runner(1, &[("os", "linux")])
    };
    assert!(!register(&store, renamed).await);
    let known = store.runner(runner_id(1)).await.unwrap().unwrap();
    assert_eq!(known.row.last_seen, at(110));
    assert_eq!(known.row.registration.offer, offer(&[]));
    assert!(known.row.is_draining);
    assert_eq!(known.leases.len(), 2);

    let next = RunnerRow {
        last_seen: at(120),
        ..of_session(77, runner(1, &[("os", "linux")]))
    };
    assert!(register(&store, next).await);
    store.reopen().await;
    let known = store.runner(runner_id(1)).await.unwrap().unwrap();
    assert_eq!(known.row.registration.offer, offer(&[("os", "linux")]));
    assert!(!known.row.is_draining);
    assert_eq!(known.leases, []);
    let of_the_earlier = store.offer(request(1)).await.unwrap();
    let unregistered = Acquisition::None(NotOffered::Unregistered);
    assert_eq!(of_the_earlier, unregistered);
    assert!(
        !store
            .seen(runner_id(1), session(1), OWNER, at(130))
            .await
            .unwrap()
    );
    // The leases of the earlier session are void immediately, and its workspaces are lost.
    let due = store.due_leases(at(120)).await.unwrap();
    let state = |id| due.iter().find(|row| row.id == id).unwrap().state;
    let void = |was_confirmed| LeaseState::Void { was_confirmed };
    assert_eq!((due.len(), state(started.id)), (2, void(true)));
    assert_eq!(state(offered.id), void(false));
    assert_eq!(store.bound_jobs(runner_id(1)).await.unwrap(), []);
    let lost = store.lost_workspaces(job_id(10)).await.unwrap();
    let [
        LostWorkspace {
            runner_id: of,
            offer: had,
            before,
        },
    ] = lost.as_slice()
    else {
        panic!("{lost:?}");
    };
    assert_eq!((*of, had), (runner_id(1), &offer(&[])));
    assert_eq!(*before, store.next_token().await.unwrap());
}

pub(crate) async fn a_drained_runner_gets_only_what_is_bound_to_it(mut store: Tested) {
    let p = stored(&store, &parallel(1, &[&[], &[]])).await;
    for number in [10, 11] {
        add_job(&store, new_job(&p, number, 0, at(number as u64))).await;
    }
    assert_eq!(take(&store, 1, &[]).await, Some(nth(10, 0)));
    assert!(store.set_draining(runner_id(1), true).await.unwrap());
    assert!(!store.set_draining(runner_id(9), true).await.unwrap());
    store.reopen().await;
    assert_eq!(take(&store, 1, &[]).await, Some(nth(10, 1)));
    assert_eq!(take(&store, 1, &[]).await, None);
    assert!(store.set_draining(runner_id(1), false).await.unwrap());
    store.reopen().await;
    assert_eq!(take(&store, 1, &[]).await, Some(nth(11, 0)));
}

pub(crate) async fn runners_are_listed_and_forgotten(mut store: Tested) {
    let p = stored(&store, &parallel(1, &[&[]])).await;
    add_job(&store, new_job(&p, 10, 0, at(1))).await;
    for number in [3, 1, 2, 4] {
        register(&store, runner(number, &[])).await;
    }
    let row = lease(&store, 2).await.unwrap();
    store.reopen().await;
    let list = async |store: &Tested, after: Option<u128>, limit| {
        let after = after.map(runner_id);
        let runners = store.list_runners(after, limit).await.unwrap();
        let numbers = runners.iter().map(|runner| runner.row.id.0.as_u128());
        numbers.collect::<Vec<_>>()
    };
    assert_eq!(list(&store, None, 100).await, [1, 2, 3, 4]);
    assert_eq!(list(&store, Some(1), 2).await, [2, 3]);
    assert_eq!(store.count_runners().await.unwrap(), 4);
    let known = store.runner(runner_id(2)).await.unwrap().unwrap();
    assert_eq!(known.leases, [row]);
    assert!(store.runner(runner_id(9)).await.unwrap().is_none());

    assert!(
        store
            .seen(runner_id(3), session(3), OWNER, at(5_000))
            .await
            .unwrap()
    );
    assert!(
        !store
            .seen(runner_id(9), session(9), OWNER, at(5_000))
            .await
            .unwrap()
    );
    // Runner 1 waits, 2 holds a lease, 3 was seen: 4 is removed.
    let now = presence(at(6_000), &one_waits);
    let gone = store.forget_runners(at(1_000), now).await.unwrap();
    store.reopen().await;
    assert_eq!((gone, list(&store, None, 100).await), (1, vec![1, 2, 3]));
    let now = presence(at(6_000), &none_waits);
    let gone = store.forget_runners(at(5_001), now).await.unwrap();
    assert_eq!((gone, list(&store, None, 100).await), (2, vec![2]));
}

pub(crate) async fn a_runner_is_its_principals(mut store: Tested) {
    let p = stored(&store, &parallel(1, &[&[]])).await;
    add_job(&store, new_job(&p, 10, 0, at(1))).await;
    register(&store, runner(1, &[])).await;
    let row = lease(&store, 1).await.unwrap();
    begin(&store, &row).await;
    store.reopen().await;
    let (id, token, now) = (row.id, row.token, at(ASKED + 5));
    for other in ["", "another"] {
        let live = store.live_lease(id, token, other, now).await.unwrap();
        assert_eq!(live, None, "{other:?}");
        let found = store.lease(id, token, other).await.unwrap();
        assert_eq!(found, None, "{other:?}");
        let session = (runner_id(1), session(1));
        assert!(!store.seen(session.0, session.1, other, now).await.unwrap());
        assert!(!store.leave(session.0, session.1, other, now).await.unwrap());
    }
    let known = store.runner(runner_id(1)).await.unwrap().unwrap();
    assert_eq!(
        (known.row.last_seen, known.row.has_left),
        (at(ASKED), false)
    );
    let live = store.live_lease(id, token, OWNER, now).await.unwrap();
    assert!(live.is_some());
    complete(&store, &row, Outcome::Succeeded).await;
    assert_eq!(store.lease(id, token, "another").await.unwrap(), None);
    let ended = store.lease(id, token, OWNER).await.unwrap();
    assert_eq!(ended.map(|row| row.state), Some(LeaseState::Ended));
}

pub(crate) async fn a_runner_that_has_left_is_not_there(mut store: Tested) {
    let p = stored(&store, &parallel(1, &[&[], &[]])).await;
    add_job(&store, new_job(&p, 10, 0, at(1))).await;
    register(&store, runner(1, &[])).await;
    let started = lease(&store, 1).await.unwrap();
    begin(&store, &started).await;
    let offered = lease(&store, 1).await.unwrap();
    let silent = async |store: &Tested, now| {
        let silent = store.silent_runners(presence(at(now), &one_waits)).await;
        let numbers = silent.unwrap();
        numbers.iter().map(|id| id.0.as_u128()).collect::<Vec<_>>()
    };
    let leave = async |store: &Tested, number, now| {
        let left = store.leave(runner_id(1), session(number), OWNER, at(now));
        left.await.unwrap()
    };
    assert!(!leave(&store, 2, 105).await, "of another session");
    assert!(leave(&store, 1, 105).await);
    assert!(leave(&store, 1, 105).await, "it may say so again");
    store.reopen().await;
    // Only what was not started is given up immediately.
    let due = store.due_leases(at(105)).await.unwrap();
    let due: Vec<_> = due.iter().map(|row| row.id).collect();
    assert_eq!(due, [offered.id]);
    assert_eq!(silent(&store, 106).await, [0; 0], "it holds a lease");
    let next = store.next_silence(presence(at(106), &one_waits)).await;
    assert_eq!(next.unwrap(), Some(at(CONFIRMED_UNTIL)));
    store.due_leases(at(CONFIRMED_UNTIL)).await.unwrap();
    assert_eq!(silent(&store, CONFIRMED_UNTIL).await, [1]);
    // It is listed for as long as any that is silent, also by the next process.
    store.take_over(at(500), at(560)).await.unwrap();
    store.reopen().await;
    let known = store.runner(runner_id(1)).await.unwrap().unwrap();
    assert_eq!((known.row.last_seen, known.row.has_left), (at(ASKED), true));
    assert_eq!(silent(&store, 501).await, [1]);
    let again = store.seen(runner_id(1), session(1), OWNER, at(510)).await;
    assert!(again.unwrap());
    store.reopen().await;
    let known = store.runner(runner_id(1)).await.unwrap().unwrap();
    assert_eq!((known.row.last_seen, known.row.has_left), (at(510), false));
    assert_eq!(silent(&store, 511).await, [0; 0]);
}

pub(crate) async fn leases_are_taken_over_by_the_next_process(mut store: Tested) {
    let p = stored(&store, &parallel(1, &[&[], &[]])).await;
    for number in [10, 11] {
        add_job(&store, new_job(&p, number, 0, at(number as u64))).await;
    }
    let mut embedded = runner(1, &[]);
    embedded.registration.owner = String::new();
    let mut idle = runner(2, &[]);
    idle.registration.owner = String::new();
    for row in [embedded, idle, runner(3, &[]), runner(4, &[])] {
        register(&store, row).await;
    }
    let started = lease(&store, 1).await.unwrap();
    begin(&store, &started).await;
    let offered = lease(&store, 1).await.unwrap();
    let remote = lease(&store, 3).await.unwrap();
    begin(&store, &remote).await;
    store.reopen().await;
    let gone = store.take_over(at(5_000), at(5_060)).await.unwrap();
    store.reopen().await;
    assert_eq!(gone, [runner_id(1)], "nothing is bound to the other one");
    let left = store.list_runners(None, 100).await.unwrap();
    let left: Vec<_> = left
        .iter()
        .map(|one| (one.row.id, one.row.last_seen))
        .collect();
    assert_eq!(left, [(runner_id(3), at(5_000)), (runner_id(4), at(5_000))]);
    assert_eq!(store.bound_jobs(runner_id(1)).await.unwrap(), [job_id(10)]);
    // The stage's own deadline passed while no process ran.
    let due = store.due_leases(at(5_000)).await.unwrap();
    let state = |id| due.iter().find(|row| row.id == id).unwrap();
    let void = |was_confirmed| LeaseState::Void { was_confirmed };
    assert_eq!(due.len(), 3);
    assert_eq!(state(started.id).state, void(true));
    assert_eq!(state(offered.id).state, void(false));
    assert!(state(remote.id).overran);

    // A lease without a deadline yet stays live.
    store.release(offered.id, offered.token).await.unwrap();
    let lose = LeaseWrite::LoseWorkspace {
        job_id: job_id(10),
        lost: LostWorkspace {
            runner_id: runner_id(1),
            offer: offer(&[]),
            before: store.next_token().await.unwrap(),
        },
    };
    store.commit(Batch::of([Write::Lease(lose)])).await.unwrap();
    let row = lease(&store, 4).await.unwrap();
    store.reopen().await;
    let none = store.take_over(at(200), at(260)).await.unwrap();
    assert_eq!(none, []);
    let live = store
        .live_lease(row.id, row.token, OWNER, at(259))
        .await
        .unwrap();
    assert_eq!(live.map(|row| row.expires), Some(at(260)));
}
