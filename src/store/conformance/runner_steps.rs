//! Runners, and operations on their leases.

use std::time::SystemTime;

use crate::domain::{Command, Holder, LeaseId, Outcome, SessionId, lease::Registration};

use super::{
    super::{Acquisition, Batch, LeaseRequest, LeaseRow, LeaseWrite, ReadyStage, RunnerRow, Write},
    world::*,
};

/// The principal of all runners.
pub(super) const OWNER: &str = "team";

pub(super) fn session(number: u128) -> SessionId {
    SessionId(id(number))
}

/// A remote runner with room for a hundred stages. Its session has the number of
/// the runner.
pub(super) fn runner(number: u128, labels: &[(&str, &str)]) -> RunnerRow {
    RunnerRow {
        id: runner_id(number),
        registration: Registration {
            display_name: format!("runner {number}"),
            offer: offer(labels),
            capacity: 100,
            version: "1.2.3".to_owned(),
            session_id: session(number),
            runner_id: Some(runner_id(number)),
            owner: OWNER.to_owned(),
        },
        register_time: at(ASKED),
        is_draining: false,
        last_seen: at(ASKED),
        has_left: false,
    }
}

pub(super) async fn register(store: &impl AnyStore, row: RunnerRow) -> bool {
    let now = row.last_seen;
    store.register(row, now).await.unwrap()
}

/// A new request of a runner.
pub(super) fn request(runner: u128) -> LeaseRequest {
    LeaseRequest {
        runner_id: runner_id(runner),
        session_id: session(runner),
        request_id: fresh(),
        lease_id: LeaseId(fresh()),
        now: at(ASKED),
        expires: at(OFFERED_UNTIL),
    }
}

/// The lease that a registered runner gets.
pub(super) async fn lease(store: &impl AnyStore, runner: u128) -> Option<LeaseRow> {
    match store.offer(request(runner)).await.unwrap() {
        Acquisition::Lease(row) => Some(row),
        Acquisition::None(_) => None,
    }
}

/// The stage that a runner with these labels gets. Registers the runner here if
/// necessary.
pub(super) async fn take(
    store: &impl AnyStore,
    number: u128,
    labels: &[(&str, &str)],
) -> Option<ReadyStage> {
    register(store, runner(number, labels)).await;
    lease(store, number).await.map(|row| row.stage)
}

fn holder(row: &LeaseRow) -> Holder {
    Holder {
        runner_id: row.runner_id,
        token: row.token,
    }
}

pub(super) fn confirm(row: &LeaseRow) -> LeaseWrite {
    LeaseWrite::Confirm {
        id: row.id,
        token: row.token,
        expires: at(CONFIRMED_UNTIL),
        ends_by: at(ENDS_BY),
    }
}

pub(super) fn end(row: &LeaseRow, is_returned: bool) -> LeaseWrite {
    LeaseWrite::End {
        id: row.id,
        token: row.token,
        remember_until: at(300),
        is_returned,
    }
}

/// The runner starts the stage of its lease.
pub(super) async fn begin(store: &impl AnyStore, row: &LeaseRow) {
    let (run, holder) = (row.stage.run, holder(row));
    let job = job(store, row.stage.job_id).await;
    let start = decided(&job, Command::Start { run, holder }, at(ASKED));
    let batch = Batch::of([Write::Job(start), Write::Lease(confirm(row))]);
    store.commit(batch).await.unwrap();
}

/// The runner ends the stage of its lease.
pub(super) async fn complete(store: &impl AnyStore, row: &LeaseRow, outcome: Outcome) {
    complete_at(store, row, outcome, at(ASKED + 5)).await;
}

pub(super) async fn complete_at(
    store: &impl AnyStore,
    row: &LeaseRow,
    outcome: Outcome,
    time: SystemTime,
) {
    let job = job(store, row.stage.job_id).await;
    let command = finish(row.stage.run, row.token, outcome);
    let finished = decided(&job, command, time);
    let end = end(row, outcome == Outcome::Returned);
    let batch = Batch::of([Write::Job(finished), Write::Lease(end)]);
    store.commit(batch).await.unwrap();
}
