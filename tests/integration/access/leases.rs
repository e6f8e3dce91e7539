//! What a principal can do with the runners and leases of another one: nothing, as if they
//! did not exist.

use pipewright::proto::{
    runner_v1::{
        AcquireLeaseRequest, AppendLogRequest, CompleteLeaseRequest, DeregisterRunnerRequest,
        LeaseProof, Outcome, RegisterRunnerRequest, RenewLeaseRequest,
    },
    v1,
};
use tonic::{Code, Status};

use super::{service, targets::target, why};
use crate::{
    known::As,
    raw_runner::{id, registration},
};

/// Everything that an answer says.
fn told<T: std::fmt::Debug>(answer: Result<T, Status>) -> (Code, String, Vec<u8>) {
    let status = answer.expect_err("a refusal");
    let message = status.message().to_owned();
    (status.code(), message, status.details().to_vec())
}

async fn renew(caller: &As, proof: &LeaseProof) -> Result<(), Status> {
    let request = RenewLeaseRequest {
        proof: Some(proof.clone()),
        ..Default::default()
    };
    caller.leases().renew_lease(request).await.map(drop)
}

async fn append(caller: &As, proof: &LeaseProof) -> Result<(), Status> {
    let request = AppendLogRequest {
        proof: Some(proof.clone()),
        data: b"x".to_vec().into(),
        ..Default::default()
    };
    caller.leases().append_log(request).await.map(drop)
}

async fn complete(caller: &As, proof: &LeaseProof) -> Result<(), Status> {
    let request = CompleteLeaseRequest {
        proof: Some(proof.clone()),
        outcome: Outcome::Succeeded.into(),
        log_size_bytes: 1,
        ..Default::default()
    };
    caller.leases().complete_lease(request).await.map(drop)
}

async fn acquire(caller: &As, runner_id: &str, session_id: &str) -> Result<(), Status> {
    let request = AcquireLeaseRequest {
        runner_id: runner_id.to_owned(),
        session_id: session_id.to_owned(),
        request_id: id(),
        leaving: true,
        ..Default::default()
    };
    caller.leases().acquire_lease(request).await.map(drop)
}

async fn deregister(caller: &As, runner_id: &str, session_id: &str) -> Result<(), Status> {
    let request = DeregisterRunnerRequest {
        runner_id: runner_id.to_owned(),
        session_id: session_id.to_owned(),
    };
    caller.leases().deregister_runner(request).await.map(drop)
}

#[tokio::test]
async fn a_lease_is_its_principals_alone() {
    let service = service().await;
    target(&service, "one", false).await;
    let (own, other) = (As::new(&service, "runner"), As::new(&service, "all-runner"));
    let session = registration();
    let registered = own.leases().register_runner(session.clone()).await;
    let runner_id = registered.unwrap().into_inner().runner_id;
    let work = AcquireLeaseRequest {
        runner_id: runner_id.clone(),
        session_id: session.session_id.clone(),
        request_id: id(),
        ..Default::default()
    };
    let acquired = own.leases().acquire_lease(work.clone()).await.unwrap();
    let lease = acquired.into_inner().lease.unwrap();
    let proof = LeaseProof {
        lease_id: lease.id,
        fencing_token: lease.fencing_token,
    };
    renew(&own, &proof).await.unwrap();

    let absent = LeaseProof {
        lease_id: uuid::Uuid::now_v7().to_string(),
        ..proof.clone()
    };
    let writes_are_refused = async || {
        assert_eq!(
            told(renew(&other, &proof).await),
            told(renew(&own, &absent).await)
        );
        assert_eq!(
            told(append(&other, &proof).await),
            told(append(&own, &absent).await)
        );
        assert_eq!(
            told(complete(&other, &proof).await),
            told(complete(&own, &absent).await)
        );
    };
    writes_are_refused().await;

    // By the ids of the runner and its session, nothing can be done, either.
    let (no_runner, no_session) = (id(), id());
    let session_id = &session.session_id;
    assert_eq!(
        told(acquire(&other, &runner_id, session_id).await),
        told(acquire(&own, &no_runner, &no_session).await)
    );
    assert_eq!(
        told(deregister(&other, &runner_id, session_id).await),
        told(deregister(&own, &no_runner, &no_session).await)
    );
    for known_id in [runner_id.clone(), String::new()] {
        let request = RegisterRunnerRequest {
            runner_id: known_id,
            ..session.clone()
        };
        let foreign = other.leases().register_runner(request.clone()).await;
        let foreign = foreign.unwrap().into_inner().runner_id;
        assert_ne!(foreign, runner_id);
        // What it made of the session is its own, and found again.
        let again = other.leases().register_runner(request).await;
        assert_eq!(again.unwrap().into_inner().runner_id, foreign);
    }

    // All that was tried has changed nothing.
    let viewer = As::new(&service, "all-viewer");
    let request = v1::GetRunnerRequest {
        runner_id: runner_id.clone(),
    };
    let shown = viewer.runners().get_runner(request).await.unwrap();
    let shown = shown.into_inner().runner.unwrap();
    assert_eq!(
        (shown.state(), shown.draining),
        (v1::runner::State::Online, false)
    );
    let same = own.leases().acquire_lease(work).await.unwrap().into_inner();
    assert_eq!(same.lease.unwrap().id, proof.lease_id);
    append(&own, &proof).await.unwrap();
    complete(&own, &proof).await.unwrap();
    // The runner of a lease may report its end again.
    complete(&own, &proof).await.unwrap();
    writes_are_refused().await;
}

#[tokio::test]
async fn a_runner_that_deregisters_is_offline_until_it_is_heard_of() {
    let service = service().await;
    let runner = As::new(&service, "runner");
    let session = registration();
    let registered = runner.leases().register_runner(session.clone()).await;
    let runner_id = registered.unwrap().into_inner().runner_id;
    let state = async || {
        let viewer = As::new(&service, "all-viewer");
        let request = v1::GetRunnerRequest {
            runner_id: runner_id.clone(),
        };
        let shown = viewer.runners().get_runner(request).await.unwrap();
        shown.into_inner().runner.unwrap().state()
    };
    assert_eq!(state().await, v1::runner::State::Online);
    for _ in 0..2 {
        deregister(&runner, &runner_id, &session.session_id)
            .await
            .unwrap();
        assert_eq!(state().await, v1::runner::State::Offline);
    }
    acquire(&runner, &runner_id, &session.session_id)
        .await
        .unwrap();
    assert_eq!(state().await, v1::runner::State::Online);
    let unknown = deregister(&runner, &runner_id, &id()).await;
    assert_eq!(
        why(unknown),
        (Code::NotFound, "RUNNER_NOT_REGISTERED".to_owned())
    );
    for (runner_id, session_id) in [("", session.session_id.as_str()), (&runner_id, "x")] {
        let invalid = deregister(&runner, runner_id, session_id).await;
        assert_eq!(
            why(invalid),
            (Code::InvalidArgument, "INVALID_FIELDS".to_owned())
        );
    }
}
