use std::time::{Duration, SystemTime};

use crate::domain::{
    ActionKind, Demand, FencingToken, LostWorkspace, Offer, PendingReason, RunnerId, SessionId,
    Variables,
};

use super::{
    super::{Batch, LeaseWrite, Presence, Write},
    Tested,
    runner_steps::*,
    world::*,
};

pub(super) fn none_waits(_: RunnerId, _: SessionId) -> bool {
    false
}

/// Runner 1 waits for work.
pub(super) fn one_waits(id: RunnerId, of: SessionId) -> bool {
    (id, of) == (runner_id(1), session(1))
}

/// Runners are silent after 30 s.
pub(super) fn presence(
    now: SystemTime,
    waits: &(dyn Fn(RunnerId, SessionId) -> bool + Sync),
) -> Presence<'_> {
    let seen_since = now - Duration::from_secs(30);
    Presence {
        now,
        seen_since,
        waits,
    }
}

pub(crate) async fn a_stage_waits_for_what_is_missing(mut store: Tested) {
    let p = stored(&store, &parallel(1, &[&[], &[]])).await;
    add_job(&store, new_job(&p, 10, 0, at(1))).await;
    let demand = Demand {
        labels: Variables::new(),
        action: ActionKind::Command,
    };
    let reason = async |store: &Tested, now| {
        let presence = presence(at(now), &none_waits);
        let reason = store.waits_for(job_id(10), &demand, presence).await;
        reason.unwrap()
    };
    use PendingReason::{NoCapableRunner, NoMatchingRunner, RunnersBusy};
    assert_eq!(reason(&store, ASKED).await, NoMatchingRunner);
    let mut incapable = runner(5, &[]);
    let offer = Offer {
        actions: Default::default(),
        ..Default::default()
    };
    incapable.registration.offer = offer.into();
    register(&store, incapable).await;
    store.reopen().await;
    assert_eq!(reason(&store, ASKED).await, NoCapableRunner);
    register(&store, runner(1, &[])).await;
    register(&store, runner(2, &[])).await;
    assert_eq!(reason(&store, ASKED + 29).await, RunnersBusy);
    assert_eq!(reason(&store, ASKED + 30).await, NoMatchingRunner);
    // A waiting runner is present, however long ago it was last seen.
    let waiting = presence(at(9_000), &one_waits);
    let waiting = store.waits_for(job_id(10), &demand, waiting).await;
    assert_eq!(waiting.unwrap(), RunnersBusy);

    store.set_draining(runner_id(1), true).await.unwrap();
    store.set_draining(runner_id(2), true).await.unwrap();
    store.reopen().await;
    assert_eq!(reason(&store, ASKED).await, NoCapableRunner);
    store.set_draining(runner_id(1), false).await.unwrap();
    let row = lease(&store, 1).await.unwrap();
    store.set_draining(runner_id(1), true).await.unwrap();
    assert_eq!(reason(&store, ASKED).await, RunnersBusy, "it is bound");
    store.reopen().await;
    // Its lease keeps runner 1 present; afterwards only runner 2 is, which may not
    // have the stage.
    assert_eq!(reason(&store, OFFERED_UNTIL - 1).await, RunnersBusy);
    store.due_leases(at(OFFERED_UNTIL)).await.unwrap();
    store.set_draining(runner_id(2), false).await.unwrap();
    store
        .seen(runner_id(2), session(2), OWNER, at(OFFERED_UNTIL))
        .await
        .unwrap();
    assert_eq!(reason(&store, OFFERED_UNTIL).await, NoMatchingRunner);
    store.release(row.id, row.token).await.unwrap();
    assert_eq!(reason(&store, OFFERED_UNTIL).await, RunnersBusy);
}

pub(crate) async fn silent_runners_are_those_with_bindings(mut store: Tested) {
    let p = stored(&store, &parallel(1, &[&[]])).await;
    for number in [10, 11] {
        add_job(&store, new_job(&p, number, 0, at(1))).await;
    }
    for number in 1..=3 {
        register(&store, runner(number, &[])).await;
    }
    let one = lease(&store, 1).await.unwrap();
    let two = lease(&store, 2).await.unwrap();
    begin(&store, &two).await;
    store.reopen().await;
    let silent = async |store: &Tested, now, waits: &'static (dyn Fn(_, _) -> bool + Sync)| {
        let silent = store
            .silent_runners(presence(at(now), waits))
            .await
            .unwrap();
        let next = store.next_silence(presence(at(now), waits)).await.unwrap();
        let numbers = silent.iter().map(|id| id.0.as_u128());
        (numbers.collect::<Vec<_>>(), next)
    };
    assert_eq!(
        silent(&store, 101, &none_waits).await,
        (vec![], Some(at(130)))
    );
    assert_eq!(
        silent(&store, 130, &none_waits).await,
        (vec![1], Some(at(160)))
    );
    assert_eq!(
        silent(&store, 130, &one_waits).await,
        (vec![], Some(at(160)))
    );
    assert_eq!(silent(&store, 160, &none_waits).await, (vec![1, 2], None));
    assert!(
        store
            .seen(runner_id(1), session(1), OWNER, at(140))
            .await
            .unwrap()
    );
    store.reopen().await;
    assert_eq!(
        silent(&store, 160, &none_waits).await,
        (vec![2], Some(at(170)))
    );
    // One that is forgotten is silent as long as a job is bound to it.
    let lease = store
        .live_lease(two.id, two.token, OWNER, at(150))
        .await
        .unwrap();
    assert!(lease.is_some());
    store.due_leases(at(9_000)).await.unwrap();
    let now = presence(at(9_000), &none_waits);
    assert_eq!(store.forget_runners(at(9_000), now).await.unwrap(), 3);
    store.reopen().await;
    assert_eq!(silent(&store, 9_000, &none_waits).await, (vec![1, 2], None));
    store.release(one.id, one.token).await.unwrap();
    assert_eq!(silent(&store, 9_000, &none_waits).await, (vec![2], None));
    let lost = LostWorkspace {
        runner_id: runner_id(2),
        offer: offer(&[]),
        before: FencingToken(i64::MAX),
    };
    let job_id = two.stage.job_id;
    let lose = LeaseWrite::LoseWorkspace { job_id, lost };
    store.commit(Batch::of([Write::Lease(lose)])).await.unwrap();
    assert_eq!(silent(&store, 9_000, &none_waits).await, (vec![], None));
}
