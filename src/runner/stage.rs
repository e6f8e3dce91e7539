//! One stage, from the confirmation of its lease to its completion.

use std::{convert::Infallible, sync::Arc, time::Duration};

use tracing::{Instrument, Span, info, warn};

use super::{
    LeaseProof, Leases, Registered, StageWork,
    actions::{self, Context},
    leases::{Cause, Ended, Failure, HeldLease, completion},
    process::{Guards, Launcher},
    workspace::{self, OpenError, Workspace},
};
use crate::{domain::TraceContext, supervisor::Clock, telemetry::traces};

/// Runs one stage under its lease, on the service's terms. Unless the lease is
/// refused or lost, its completion is reported in every case.
pub(super) async fn run(
    leases: Arc<dyn Leases>,
    guards: &Guards,
    proof: LeaseProof,
    terms: &Registered,
    clock: Clock,
    mut work: StageWork,
    opened: Result<Arc<Workspace>, OpenError>,
) {
    let span = trace(&mut work);
    supervise(leases, guards, proof, terms, clock, work, opened)
        .instrument(span)
        .await;
}

/// The span of a stage within the trace that its work names. If the span is exported, the
/// command's environment carries it on.
fn trace(work: &mut StageWork) -> Span {
    let told = |name| work.variables.get(name).map_or("", String::as_str);
    let parent = TraceContext::read(told("TRACEPARENT"), told("TRACESTATE"));
    let job = work.job_id.to_string();
    let span = traces::stage(&job, &work.stage_name, work.attempt, parent.as_ref());
    if let Some(own) = traces::context(&span) {
        let own = [("TRACEPARENT", own.parent()), ("TRACESTATE", own.state())];
        let own = own.map(|(name, value)| (name.to_owned(), value.to_owned()));
        work.variables.extend(own);
    }
    span
}

async fn supervise(
    leases: Arc<dyn Leases>,
    guards: &Guards,
    proof: LeaseProof,
    terms: &Registered,
    clock: Clock,
    work: StageWork,
    opened: Result<Arc<Workspace>, OpenError>,
) {
    let lease = HeldLease::new(leases, proof, terms, clock);
    // Refused: the stage is another runner's by now, and nothing has been started.
    let Ok(known) = lease.confirm().await else {
        return;
    };
    info!(job.id = %work.job_id, stage = ?work.stage_name, attempt = work.attempt, "stage started");
    let result = tokio::select! {
        result = execute(&lease, guards, &work, opened) => result,
        never = lease.keep(known) => match never {},
        never = lease.fence() => match never {},
        never = expire(&lease, work.timeout) => match never {},
    };
    if lease.stop.cause() == Some(Cause::LeaseLost) {
        warn!(job.id = %work.job_id, stage = ?work.stage_name, attempt = work.attempt,
            "stage killed, as its lease was lost");
        return;
    }
    let completion = completion(&work, result, lease.commit());
    let outcome = completion.outcome;
    match lease.complete(completion).await {
        Ok(()) => info!(job.id = %work.job_id, stage = ?work.stage_name,
            attempt = work.attempt, ?outcome, "stage ended"),
        Err(reason) => warn!(job.id = %work.job_id, lease.id = %proof.lease_id, %reason,
            "could not report a stage's end"),
    }
}

/// Stops a stage that has used up its time.
async fn expire(lease: &HeldLease, limit: Duration) -> Infallible {
    tokio::time::sleep(limit).await;
    lease.stop.ask(Cause::TimedOut);
    std::future::pending().await
}

async fn execute(
    lease: &HeldLease,
    guards: &Guards,
    work: &StageWork,
    opened: Result<Arc<Workspace>, OpenError>,
) -> Result<Ended, Failure> {
    let launcher = Launcher {
        guards,
        stop: &lease.stop,
        deadline: &lease.deadline,
        grace: work.kill_grace,
    };
    let workspace = workspace::prepare(lease, launcher, work, opened).await?;
    let context = Context {
        lease,
        launcher,
        work,
        workspace: &workspace,
    };
    actions::run(&work.action, context).await
}
