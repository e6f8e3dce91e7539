use crate::domain::{FencingToken, Outcome};

use super::{
    super::{Batch, LeaseRow, LeaseState, LeaseWrite, Write},
    Tested,
    runner_steps::*,
    world::*,
};

/// A job with two parallel stages; the first was offered to runner 1.
async fn offered(store: &Tested) -> LeaseRow {
    let p = stored(store, &parallel(1, &[&[], &[]])).await;
    add_job(store, new_job(&p, 10, 0, at(1))).await;
    register(store, runner(1, &[])).await;
    lease(store, 1).await.expect("a stage is ready")
}

async fn state(store: &Tested, row: &LeaseRow) -> Option<LeaseState> {
    let row = store.lease(row.id, row.token, OWNER).await.unwrap();
    row.map(|row| row.state)
}

fn settle(row: &LeaseRow) -> Batch {
    let (id, token) = (row.id, row.token);
    Batch::of([Write::Lease(LeaseWrite::Settle { id, token })])
}

pub(crate) async fn a_lease_is_confirmed_renewed_and_ended(mut store: Tested) {
    let row = offered(&store).await;
    let renew = async |store: &Tested, now, expires| {
        let renewed = store.renew(row.id, row.token, at(now), at(expires)).await;
        renewed.unwrap()
    };
    let live = async |store: &Tested, now| {
        let live = store.live_lease(row.id, row.token, OWNER, at(now)).await;
        live.unwrap()
    };
    assert_eq!(live(&store, ASKED).await, Some(row));
    assert_eq!(live(&store, OFFERED_UNTIL).await, None);
    assert!(!renew(&store, ASKED, 500).await, "it is not confirmed");
    begin(&store, &row).await;
    store.reopen().await;
    let confirmed = live(&store, OFFERED_UNTIL).await.unwrap();
    assert_eq!(confirmed.state, LeaseState::Confirmed);
    assert_eq!(confirmed.expires, at(CONFIRMED_UNTIL));
    assert_eq!(confirmed.ends_by, Some(at(ENDS_BY)));

    assert!(renew(&store, 150, 250).await);
    assert!(renew(&store, 150, 200).await, "it never moves back");
    store.reopen().await;
    assert_eq!(live(&store, 249).await.unwrap().expires, at(250));
    assert!(!renew(&store, 250, 300).await, "too late");
    assert_eq!(store.next_due_lease().await.unwrap(), Some(at(250)));

    complete(&store, &row, Outcome::Succeeded).await;
    store.reopen().await;
    assert_eq!(live(&store, 150).await, None);
    assert!(!renew(&store, 150, 500).await);
    assert_eq!(state(&store, &row).await, Some(LeaseState::Ended));
    let runner = store.runner(runner_id(1)).await.unwrap().unwrap();
    assert_eq!(runner.leases, []);
}

pub(crate) async fn a_lease_that_runs_out_is_void_until_it_is_settled(mut store: Tested) {
    let first = offered(&store).await;
    begin(&store, &first).await;
    let second = lease(&store, 1).await.unwrap();
    assert_eq!(
        store.next_due_lease().await.unwrap(),
        Some(at(OFFERED_UNTIL))
    );
    let due = async |store: &Tested, now| {
        let due = store.due_leases(at(now)).await.unwrap();
        due.iter()
            .map(|row| (row.id, row.state))
            .collect::<Vec<_>>()
    };
    let void = |was_confirmed| LeaseState::Void { was_confirmed };
    assert_eq!(due(&store, OFFERED_UNTIL - 1).await, []);
    let of_second = (second.id, void(false));
    assert_eq!(due(&store, OFFERED_UNTIL).await, [of_second]);
    store.reopen().await;
    assert_eq!(due(&store, OFFERED_UNTIL).await, [of_second]);
    let next = store.next_due_lease().await.unwrap();
    assert!(next.is_some_and(|time| time <= at(OFFERED_UNTIL)));

    let of_first = (first.id, void(true));
    let mut both = due(&store, CONFIRMED_UNTIL).await;
    both.sort_unstable_by_key(|(id, _)| *id != first.id);
    assert_eq!(both, [of_first, of_second]);
    let late = Batch::of([Write::Lease(end(&first, false))]);
    assert!(is_conflict(store.commit(late).await));
    store.release(second.id, second.token).await.unwrap();
    store.reopen().await;
    assert_eq!(due(&store, CONFIRMED_UNTIL).await, [of_first]);
    // A started stage is not released: its outcome has to be reported.
    store.release(first.id, first.token).await.unwrap();
    assert_eq!(due(&store, CONFIRMED_UNTIL).await, [of_first]);

    store.commit(settle(&first)).await.unwrap();
    assert!(is_conflict(store.commit(settle(&first)).await));
    store.reopen().await;
    assert_eq!(due(&store, CONFIRMED_UNTIL).await, []);
    assert_eq!(store.next_due_lease().await.unwrap(), None);
    assert_eq!(state(&store, &first).await, None);
}

pub(crate) async fn the_end_of_a_stage_is_not_moved_by_renewals(mut store: Tested) {
    let row = offered(&store).await;
    begin(&store, &row).await;
    let late = LeaseWrite::Confirm {
        id: row.id,
        token: row.token,
        expires: at(CONFIRMED_UNTIL - 20),
        ends_by: at(5_000),
    };
    store.commit(Batch::of([Write::Lease(late)])).await.unwrap();
    let renewed = store.renew(row.id, row.token, at(150), at(9_000)).await;
    assert!(renewed.unwrap());
    store.reopen().await;
    assert_eq!(store.next_due_lease().await.unwrap(), Some(at(ENDS_BY)));
    let due = store.due_leases(at(ENDS_BY)).await.unwrap();
    assert!(due[0].overran);
    assert_eq!(
        due[0].state,
        LeaseState::Void {
            was_confirmed: true
        }
    );
    store.reopen().await;
    let again = store.due_leases(at(ENDS_BY + 1)).await.unwrap();
    assert_eq!(again, due);
}

pub(crate) async fn writes_under_an_old_token_are_conflicts(mut store: Tested) {
    let row = offered(&store).await;
    let old = LeaseRow {
        token: FencingToken(row.token.0 - 1),
        ..row
    };
    for write in [confirm(&old), end(&old, false), end(&old, true)] {
        let batch = Batch::of([Write::Lease(write)]);
        assert!(is_conflict(store.commit(batch).await));
    }
    assert!(
        is_conflict(store.commit(settle(&row)).await),
        "it is not void"
    );
    store.release(old.id, old.token).await.unwrap();
    assert_eq!(state(&store, &row).await, Some(LeaseState::Offered));
    assert_eq!(store.lease(old.id, old.token, OWNER).await.unwrap(), None);
    begin(&store, &row).await;
    store.reopen().await;
    assert!(
        !store
            .renew(old.id, old.token, at(150), at(300))
            .await
            .unwrap()
    );
    let live = store
        .live_lease(old.id, old.token, OWNER, at(150))
        .await
        .unwrap();
    assert_eq!(live, None);
    complete(&store, &row, Outcome::Succeeded).await;
    for write in [confirm(&row), end(&row, false)] {
        let batch = Batch::of([Write::Lease(write)]);
        assert!(is_conflict(store.commit(batch).await), "it has ended");
    }
}

pub(crate) async fn what_is_released_is_offered_again(mut store: Tested) {
    let row = offered(&store).await;
    assert_eq!(store.ready_stages().await.unwrap(), 1);
    store.release(row.id, row.token).await.unwrap();
    store.reopen().await;
    assert_eq!(store.ready_stages().await.unwrap(), 2);
    store.release(row.id, row.token).await.unwrap();
    assert_eq!(store.ready_stages().await.unwrap(), 2, "the row is gone");
    let again = lease(&store, 1).await.unwrap();
    assert_eq!(again.stage, row.stage);
    // A run that was cancelled in the meantime stays out of the queue.
    end_job(&store, job_id(10), at(2)).await;
    store.reopen().await;
    store.release(again.id, again.token).await.unwrap();
    assert_eq!(store.ready_stages().await.unwrap(), 0);
    assert_eq!(lease(&store, 1).await, None);
    assert_eq!(store.next_due_lease().await.unwrap(), None);
}

pub(crate) async fn an_end_is_remembered_for_a_while(mut store: Tested) {
    let row = offered(&store).await;
    begin(&store, &row).await;
    complete(&store, &row, Outcome::Succeeded).await;
    store.reopen().await;
    assert_eq!(store.due_leases(at(299)).await.unwrap(), []);
    assert_eq!(state(&store, &row).await, Some(LeaseState::Ended));
    assert_eq!(store.next_due_lease().await.unwrap(), Some(at(300)));
    assert_eq!(store.due_leases(at(300)).await.unwrap(), []);
    store.reopen().await;
    assert_eq!(state(&store, &row).await, None);
    assert_eq!(store.next_due_lease().await.unwrap(), None);
}
