//! `LeaseService` as a runner in any language sees it.

use std::time::{Duration, Instant};

use pipewright::proto::{
    runner_v1::{self as lease, Directive, Outcome},
    v1,
};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::{
    raw_runner::{RawRunner, assert_lost, id, proof, registration, work},
    service::{Service, map, pipeline, refusal, stage, states},
};

/// The shortest that a service allows.
const TTL: Duration = Duration::from_secs(1);

async fn impatient() -> Service {
    Service::with(|config| {
        config.runner = None;
        config.lease_ttl = TTL;
    })
    .await
}

async fn one_stage(service: &Service) -> v1::Job {
    let pipeline = pipeline(&format!("p-{}", id()), [stage("s", "true")]);
    service.trigger(&service.create(pipeline).await).await
}

#[tokio::test]
async fn a_lost_response_is_sent_again() {
    let service = Service::without_runner().await;
    let runner = RawRunner::with_capacity(&service, 1).await;
    one_stage(&service).await;
    let request_id = id();
    let first = runner.ask(&request_id, TTL).await.unwrap().lease.unwrap();
    let again = runner.ask(&request_id, TTL).await.unwrap().lease.unwrap();
    assert_eq!(proof(&again), proof(&first));
    runner.renew(&first, Duration::ZERO).await.unwrap();
    for _ in 0..3 {
        runner.succeed(&first).await;
    }
}

#[tokio::test]
async fn a_runner_has_no_more_leases_than_its_capacity() {
    let service = Service::without_runner().await;
    let runner = RawRunner::with_capacity(&service, 2).await;
    for _ in 0..5 {
        one_stage(&service).await;
    }
    let asks = (0..5).map(|_| runner.try_take());
    let leases: Vec<_> = futures_util::future::join_all(asks)
        .await
        .into_iter()
        .flatten()
        .collect();
    assert_eq!(leases.len(), 2);
    runner.renew(&leases[0], Duration::ZERO).await.unwrap();
    runner.succeed(&leases[0]).await;
    assert!(runner.try_take().await.is_some());
    assert!(runner.try_take().await.is_none());
}

#[tokio::test]
async fn a_lease_that_is_not_confirmed_goes_to_another_runner_and_counts_for_nothing() {
    let service = impatient().await;
    let first = RawRunner::with_capacity(&service, 1).await;
    let second = RawRunner::with_capacity(&service, 1).await;
    let job = one_stage(&service).await;
    let unconfirmed = first.take().await;
    let lease = second.start().await;
    assert_eq!(work(&lease), ("s", 1));
    assert!(lease.fencing_token > unconfirmed.fencing_token);
    first.is_fenced(&unconfirmed).await;
    second.succeed(&lease).await;
    assert_eq!(service.ended(&job.id).await.stage_runs.len(), 1);
}

#[tokio::test]
async fn an_expired_lease_fences_its_runner_off() {
    let service = impatient().await;
    let first = RawRunner::with_capacity(&service, 1).await;
    let second = RawRunner::with_capacity(&service, 1).await;
    let job = one_stage(&service).await;
    let lost = first.start().await;
    let lease = second.start().await;
    assert_eq!(work(&lease), ("s", 2));
    assert!(lease.fencing_token > lost.fencing_token);
    first.is_fenced(&lost).await;
    // Its own lease with the other's token is refused as well.
    let mixed = lease::Lease {
        fencing_token: lost.fencing_token,
        ..lease.clone()
    };
    second.is_fenced(&mixed).await;
    second.succeed(&lease).await;
    let ended = service.ended(&job.id).await;
    use v1::stage_run::State;
    assert_eq!(
        states(&ended),
        [("s", State::Failed), ("s", State::Succeeded)]
    );
    assert_eq!(ended.state(), v1::job::State::Succeeded);
}

#[tokio::test]
async fn a_deployment_is_not_retried_automatically() {
    let service = impatient().await;
    let runner = RawRunner::with_capacity(&service, 1).await;
    let deploy = v1::Stage {
        r#type: v1::stage::Type::Deploy.into(),
        ..stage("deploy", "true")
    };
    let pipeline = service.create(pipeline("p", [deploy])).await;
    let job = service.trigger(&pipeline).await;
    runner.start().await;
    let ended = service.ended(&job.id).await;
    assert_eq!(ended.stage_runs.len(), 1);
    let failure = ended.failure.unwrap();
    assert_eq!(failure.reason(), v1::failure::Reason::RunnerLost);
}

#[tokio::test]
async fn a_new_session_voids_the_leases_of_the_previous_one() {
    let service = Service::without_runner().await;
    let runner = RawRunner::with_capacity(&service, 1).await;
    one_stage(&service).await;
    let lost = runner.start().await;
    let again = runner.restarted(&service).await;
    assert_eq!(again.id, runner.id);
    assert_eq!(work(&again.start().await), ("s", 2));
    runner.is_fenced(&lost).await;
    let (code, reason, _) = refusal(runner.ask(&id(), Duration::ZERO).await);
    assert_eq!(
        (code, reason.as_str()),
        (Code::NotFound, "RUNNER_NOT_REGISTERED")
    );
}

#[tokio::test]
async fn a_log_with_a_gap_is_refused_with_its_end() {
    let service = Service::without_runner().await;
    let runner = RawRunner::with_capacity(&service, 1).await;
    let job = one_stage(&service).await;
    let lease = runner.start().await;
    assert_eq!(runner.append(&lease, 0, b"hello ").await.unwrap(), 6);
    assert_gap(runner.append(&lease, 9, b"x").await, "6");
    // Sent again, in part.
    assert_eq!(runner.append(&lease, 3, b"lo world").await.unwrap(), 11);
    assert_gap(runner.complete(&lease, Outcome::Succeeded, 20).await, "11");
    runner
        .complete(&lease, Outcome::Succeeded, 11)
        .await
        .unwrap();
    assert_eq!(service.log(&job.id, "s").await, b"hello world");
}

#[track_caller]
fn assert_gap<T: std::fmt::Debug>(answer: Result<T, Status>, committed: &str) {
    let status = answer.expect_err("a refusal");
    assert_eq!(status.code(), Code::OutOfRange);
    let info = status.get_details_error_info().unwrap();
    assert_eq!(info.reason, "LOG_INCOMPLETE");
    assert_eq!(info.metadata["committed_offset"], committed);
}

#[tokio::test]
async fn a_cancel_reaches_a_renewal_that_is_held() {
    let service = Service::without_runner().await;
    let runner = RawRunner::with_capacity(&service, 1).await;
    let job = one_stage(&service).await;
    let lease = runner.start().await;
    let began = Instant::now();
    // Held for 10 s if nothing happens; the cancel may come before it or after.
    let held = runner.renew(&lease, Duration::from_secs(10));
    let (held, cancelled) = tokio::join!(held, service.cancel(&job.id));
    cancelled.unwrap();
    assert_eq!(held.unwrap().directive(), Directive::Cancel);
    assert!(began.elapsed() < Duration::from_secs(5));
    runner
        .complete(&lease, Outcome::Cancelled, 0)
        .await
        .unwrap();
    let ended = service.ended(&job.id).await;
    assert_eq!(ended.state(), v1::job::State::Cancelled);
}

#[tokio::test]
async fn a_stage_is_over_at_the_services_own_deadline() {
    let service = Service::with(|config| {
        config.runner = None;
        config.lease_ttl = TTL;
        config.kill_grace = Duration::ZERO;
    })
    .await;
    let runner = RawRunner::with_capacity(&service, 1).await;
    let short = v1::Stage {
        timeout: Some(prost_types::Duration {
            seconds: 1,
            nanos: 0,
        }),
        ..stage("s", "true")
    };
    let pipeline = service.create(pipeline("p", [short])).await;
    let job = service.trigger(&pipeline).await;
    let lease = runner.start().await;
    let (status, ended) = tokio::join!(runner.keep(&lease), service.ended(&job.id));
    assert_lost::<()>(Err(status));
    let failure = ended.failure.unwrap();
    assert_eq!(failure.reason(), v1::failure::Reason::TimedOut);
}

#[tokio::test]
async fn a_workspace_keeps_its_job_on_a_runner() {
    let service = Service::without_runner().await;
    let first = RawRunner::with_capacity(&service, 1).await;
    let second = RawRunner::with_capacity(&service, 1).await;
    let stages = [stage("build", "true"), stage("test", "true")];
    let pipeline = service.create(pipeline("p", stages)).await;
    service.trigger(&pipeline).await;
    let build = first.start().await;
    assert!(!build.work.as_ref().unwrap().workspace_exists);
    first.succeed(&build).await;
    assert!(second.try_take().await.is_none());
    let test = first.start().await;
    assert_eq!(work(&test), ("test", 1));
    assert!(test.work.unwrap().workspace_exists);
}

#[tokio::test]
async fn stages_that_need_a_lost_workspace_fail_and_failure_stages_run_elsewhere() {
    let service = impatient().await;
    let first = RawRunner::with_capacity(&service, 1).await;
    let second = RawRunner::with_capacity(&service, 1).await;
    let needs = |name: &str, need: &str, condition: v1::RunCondition| v1::Stage {
        needs: vec![need.to_owned()],
        run_condition: condition.into(),
        ..stage(name, "true")
    };
    let stages = [
        stage("build", "true"),
        needs("test", "build", v1::RunCondition::OnSuccess),
        needs("report", "test", v1::RunCondition::OnFailure),
    ];
    let pipeline = service.create(pipeline("p", stages)).await;
    let job = service.trigger(&pipeline).await;
    let build = first.start().await;
    first.succeed(&build).await;
    // From here on the first runner is silent.
    let report = second.start().await;
    assert_eq!(work(&report), ("report", 1));
    assert!(!report.work.as_ref().unwrap().workspace_exists);
    second.succeed(&report).await;
    let ended = service.ended(&job.id).await;
    let failure = ended.failure.unwrap();
    assert_eq!(failure.stage_name, "test");
    assert_eq!(failure.reason(), v1::failure::Reason::RunnerLost);
}

#[tokio::test]
async fn the_workspace_of_an_ended_job_can_be_removed() {
    let service = Service::without_runner().await;
    let runner = RawRunner::with_capacity(&service, 1).await;
    let job = one_stage(&service).await;
    let lease = runner.start().await;
    let ask = || lease::AcquireLeaseRequest {
        runner_id: runner.id.clone(),
        session_id: runner.session.clone(),
        request_id: id(),
        max_wait: Some(prost_types::Duration {
            seconds: 20,
            nanos: 0,
        }),
        held_job_ids: vec![job.id.clone()],
        leaving: false,
    };
    let mut client = runner.client.clone();
    let (answer, ()) = tokio::join!(client.acquire_lease(ask()), runner.succeed(&lease));
    assert_eq!(answer.unwrap().into_inner().ended_job_ids, vec![job.id]);
}

#[tokio::test]
async fn registrations_are_validated() {
    let service = Service::without_runner().await;
    let labels = |key: &str, value: &str| map(&[(key, value)]);
    let good = registration;
    let table = [
        (with(good(), |r| r.session_id.clear()), "session_id"),
        (with(good(), |r| r.session_id = "x".into()), "session_id"),
        (with(good(), |r| r.runner_id = "x".into()), "runner_id"),
        (with(good(), |r| r.capacity = 0), "capacity"),
        (with(good(), |r| r.capacity = -1), "capacity"),
        (with(good(), |r| r.capacity = 10_001), "capacity"),
        (
            with(good(), |r| r.display_name = "n".repeat(129)),
            "display_name",
        ),
        (with(good(), |r| r.version = "1".repeat(65)), "version"),
        (
            with(good(), |r| r.labels = labels("a b", "")),
            "labels[\"a b\"]",
        ),
        (
            with(good(), |r| r.labels = labels("a", "ü")),
            "labels[\"a\"]",
        ),
        (
            with(good(), |r| {
                r.labels = (0..65).map(|n| (n.to_string(), String::new())).collect();
            }),
            "labels",
        ),
    ];
    let runner = RawRunner::register(&service, good()).await;
    for (request, field) in table {
        let answer = runner.client.clone().register_runner(request).await;
        assert_eq!(refusal(answer), invalid(field));
    }
}

#[tokio::test]
async fn reports_of_runners_are_validated() {
    let service = Service::without_runner().await;
    let mut client = RawRunner::register(&service, registration()).await.client;
    let acquire = || lease::AcquireLeaseRequest {
        runner_id: id(),
        session_id: id(),
        request_id: id(),
        ..Default::default()
    };
    let minus = prost_types::Duration {
        seconds: -1,
        nanos: 0,
    };
    for (request, field) in [
        (with(acquire(), |r| r.runner_id.clear()), "runner_id"),
        (with(acquire(), |r| r.session_id.clear()), "session_id"),
        (with(acquire(), |r| r.request_id = "1".into()), "request_id"),
        (with(acquire(), |r| r.max_wait = Some(minus)), "max_wait"),
        (
            with(acquire(), |r| r.held_job_ids = vec![id(), "x".into()]),
            "held_job_ids[1]",
        ),
        (
            with(acquire(), |r| r.held_job_ids = vec![id(); 10_001]),
            "held_job_ids",
        ),
    ] {
        assert_eq!(refusal(client.acquire_lease(request).await), invalid(field));
    }
    let renew = || lease::RenewLeaseRequest {
        proof: some_proof(),
        ..Default::default()
    };
    for (request, field) in [
        (with(renew(), |r| r.proof = None), "proof"),
        (
            with(renew(), |r| r.proof.as_mut().unwrap().lease_id.clear()),
            "proof.lease_id",
        ),
        (
            with(renew(), |r| r.proof.as_mut().unwrap().fencing_token = 0),
            "proof.fencing_token",
        ),
        (
            with(renew(), |r| r.progress_percent = Some(101)),
            "progress_percent",
        ),
        (
            with(renew(), |r| r.progress_percent = Some(-1)),
            "progress_percent",
        ),
        (with(renew(), |r| r.commit_id = "main".into()), "commit_id"),
        (with(renew(), |r| r.max_wait = Some(minus)), "max_wait"),
    ] {
        assert_eq!(refusal(client.renew_lease(request).await), invalid(field));
    }
    let append = || lease::AppendLogRequest {
        proof: some_proof(),
        ..Default::default()
    };
    for (request, field) in [
        (with(append(), |r| r.offset = -1), "offset"),
        (with(append(), |r| r.dropped_bytes = -1), "dropped_bytes"),
        (with(append(), |r| r.dropped_bytes = 1), "dropped_bytes"),
        (
            with(append(), |r| r.data = vec![0; 256 * 1024 + 1].into()),
            "data",
        ),
    ] {
        assert_eq!(refusal(client.append_log(request).await), invalid(field));
    }
    let complete = || lease::CompleteLeaseRequest {
        proof: some_proof(),
        outcome: Outcome::Succeeded.into(),
        ..Default::default()
    };
    for (request, field) in [
        (with(complete(), |r| r.outcome = 0), "outcome"),
        (
            with(complete(), |r| r.log_size_bytes = -1),
            "log_size_bytes",
        ),
        (
            with(complete(), |r| r.commit_id = "x".repeat(40)),
            "commit_id",
        ),
    ] {
        assert_eq!(
            refusal(client.complete_lease(request).await),
            invalid(field)
        );
    }
    // Valid, but for a lease that does not exist.
    assert_lost(client.complete_lease(complete()).await);
}

#[tokio::test]
async fn unknown_values_and_long_texts_are_accepted_as_the_contract_says() {
    let service = Service::without_runner().await;
    let runner = RawRunner::with_capacity(&service, 1).await;
    let job = one_stage(&service).await;
    let lease = runner.start().await;
    let request = lease::CompleteLeaseRequest {
        proof: proof(&lease),
        outcome: 99,
        message: "€".repeat(1_000),
        ..Default::default()
    };
    runner.client.clone().complete_lease(request).await.unwrap();
    let failure = service.ended(&job.id).await.failure.unwrap();
    assert_eq!(failure.reason(), v1::failure::Reason::RunnerError);
    assert!(failure.message.len() <= 2048);
}

fn with<T>(mut message: T, change: impl FnOnce(&mut T)) -> T {
    change(&mut message);
    message
}

fn some_proof() -> Option<lease::LeaseProof> {
    Some(lease::LeaseProof {
        lease_id: id(),
        fencing_token: 1,
    })
}

fn invalid(field: &str) -> (Code, String, Vec<String>) {
    let reason = "INVALID_FIELDS".to_owned();
    (Code::InvalidArgument, reason, vec![field.to_owned()])
}
