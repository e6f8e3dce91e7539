//! `RunnerService`, and the assignment of stages.

use std::{sync::Arc, time::Duration};

use pipewright::{
    config::{Access, Execution, Supervision},
    proto::v1::{self, stage_run::PendingReason},
    runner::{self, LeaseRefusal, RemoteLeases, RunnerError, RunnerSettings, ServicePlace},
};
use tokio_util::sync::CancellationToken;
use tonic::{Code, transport::Endpoint};

use crate::{
    raw_runner::{RawRunner, id, work},
    service::{Service, map, pipeline, refusal, stage},
};

async fn get(service: &Service, runner: &RawRunner) -> v1::Runner {
    let request = v1::GetRunnerRequest {
        runner_id: runner.id.clone(),
    };
    let answer = service.runners().get_runner(request).await.unwrap();
    answer.into_inner().runner.unwrap()
}

async fn drain(service: &Service, runner: &RawRunner) -> v1::Runner {
    let request = v1::DrainRunnerRequest {
        runner_id: runner.id.clone(),
    };
    let answer = service.runners().drain_runner(request).await.unwrap();
    answer.into_inner().runner.unwrap()
}

async fn trigger(service: &Service, stages: impl IntoIterator<Item = v1::Stage>) -> v1::Job {
    let pipeline = service
        .create(pipeline(&format!("p-{}", id()), stages))
        .await;
    service.trigger(&pipeline).await
}

async fn pending_reason(service: &Service, job: &v1::Job) -> PendingReason {
    let job = service.get(&job.id).await;
    job.stage_runs.last().unwrap().pending_reason()
}

#[tokio::test]
async fn a_runner_is_shown_with_what_it_runs() {
    let service = Service::without_runner().await;
    let runner = RawRunner::with_labels(&service, &[("os", "plan9")]).await;
    let job = trigger(&service, [stage("s", "true")]).await;
    let offered = runner.take().await;
    assert_eq!(get(&service, &runner).await.stages, [], "not confirmed yet");
    runner.renew(&offered, Duration::ZERO).await.unwrap();
    let shown = get(&service, &runner).await;
    assert_eq!(shown.display_name, "raw");
    assert_eq!(shown.labels, map(&[("os", "plan9")]));
    assert_eq!(shown.state(), v1::runner::State::Online);
    assert!(shown.register_time.is_some() && shown.last_seen_time.is_some());
    let [running] = shown.stages.as_slice() else {
        panic!("{shown:?}");
    };
    assert_eq!(
        (running.job_id.as_str(), running.stage_name.as_str()),
        (job.id.as_str(), "s")
    );
    assert_eq!(running.attempt, 1);
    assert!(running.start_time.is_some());
    runner.succeed(&offered).await;
    assert_eq!(get(&service, &runner).await.stages, []);
}

#[tokio::test]
async fn runners_are_listed_page_by_page() {
    let service = Service::without_runner().await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(RawRunner::with_capacity(&service, 1).await.id);
    }
    let mut seen = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = v1::ListRunnersRequest {
            page_size: 2,
            page_token,
        };
        let page = service.runners().list_runners(request).await.unwrap();
        let page = page.into_inner();
        assert!(page.runners.len() <= 2);
        seen.extend(page.runners.into_iter().map(|runner| runner.id));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(seen, ids, "in the order of registration");
}

#[tokio::test]
async fn an_absent_runner_is_reported() {
    let service = Service::without_runner().await;
    let mut runners = service.runners();
    let runner_id = id();
    let get = v1::GetRunnerRequest {
        runner_id: runner_id.clone(),
    };
    let drain = v1::DrainRunnerRequest {
        runner_id: runner_id.clone(),
    };
    let resume = v1::ResumeRunnerRequest { runner_id };
    let refusals = [
        refusal(runners.get_runner(get).await),
        refusal(runners.drain_runner(drain).await),
        refusal(runners.resume_runner(resume).await),
    ];
    for (code, reason, _) in refusals {
        assert_eq!(
            (code, reason.as_str()),
            (Code::NotFound, "RUNNER_NOT_FOUND")
        );
    }
    let bad = v1::GetRunnerRequest {
        runner_id: "mac".to_owned(),
    };
    let (code, _, fields) = refusal(runners.get_runner(bad).await);
    assert_eq!(
        (code, fields),
        (Code::InvalidArgument, vec!["runner_id".to_owned()])
    );
}

#[tokio::test]
async fn a_drained_runner_gets_nothing_and_its_stage_ends() {
    let service = Service::without_runner().await;
    let runner = RawRunner::with_capacity(&service, 2).await;
    let first = trigger(&service, [stage("s", "true")]).await;
    let lease = runner.start().await;
    let drained = drain(&service, &runner).await;
    assert!(drained.draining);
    assert_eq!(drained.stages.len(), 1);
    let second = trigger(&service, [stage("s", "true")]).await;
    assert!(runner.try_take().await.is_none());
    runner.succeed(&lease).await;
    let ended = service.ended(&first.id).await;
    assert_eq!(ended.state(), v1::job::State::Succeeded);
    // A waiting call gets the stage as soon as the runner is resumed.
    let resume = async {
        let request = v1::ResumeRunnerRequest {
            runner_id: runner.id.clone(),
        };
        service.runners().resume_runner(request).await.unwrap()
    };
    let (lease, resumed) = tokio::join!(runner.take(), resume);
    assert!(!resumed.into_inner().runner.unwrap().draining);
    assert_eq!(lease.work.unwrap().job_id, second.id);
}

#[tokio::test]
async fn a_stage_goes_to_a_runner_with_its_labels_and_shows_what_it_waits_for() {
    let service = Service::without_runner().await;
    let plain = RawRunner::with_labels(&service, &[("os", "linux")]).await;
    let wants_gpu = v1::Stage {
        runner_labels: map(&[("os", "linux"), ("gpu", "a100")]),
        ..stage("train", "true")
    };
    let job = trigger(&service, [wants_gpu.clone()]).await;
    assert_eq!(
        pending_reason(&service, &job).await,
        PendingReason::NoMatchingRunner
    );
    assert!(plain.try_take().await.is_none());
    let labels = [("os", "linux"), ("gpu", "a100"), ("eu", "")];
    let gpu = RawRunner::with_labels(&service, &labels).await;
    assert_eq!(work(&gpu.start().await), ("train", 1));
    let next = trigger(&service, [wants_gpu]).await;
    assert_eq!(
        pending_reason(&service, &next).await,
        PendingReason::RunnersBusy
    );
}

#[tokio::test]
async fn a_runner_gets_only_actions_that_it_named() {
    let service = Service::without_runner().await;
    let unknown = RawRunner::with_actions(&service, &["teleport"]).await;
    assert!(get(&service, &unknown).await.actions.is_empty());
    let job = trigger(&service, [stage("s", "true")]).await;
    assert!(unknown.try_take().await.is_none());
    assert_eq!(
        pending_reason(&service, &job).await,
        PendingReason::NoCapableRunner
    );
    let capable = RawRunner::with_actions(&service, &["teleport", "command"]).await;
    assert_eq!(get(&service, &capable).await.actions, ["command"]);
    assert_eq!(work(&capable.start().await), ("s", 1));
    let next = trigger(&service, [stage("s", "true")]).await;
    assert!(unknown.try_take().await.is_none());
    assert_eq!(
        pending_reason(&service, &next).await,
        PendingReason::RunnersBusy
    );
}

/// Runners from versions without other actions name no action.
#[tokio::test]
async fn a_runner_that_names_no_action_runs_commands() {
    let service = Service::without_runner().await;
    let runner = RawRunner::with_actions(&service, &[]).await;
    assert_eq!(get(&service, &runner).await.actions, ["command"]);
    trigger(&service, [stage("s", "true")]).await;
    assert_eq!(work(&runner.start().await), ("s", 1));
}

/// A runner of this process that connects over the network.
async fn remote(service: &Service, name: &str) -> Result<(), RunnerError> {
    let server = Endpoint::from_shared(format!("http://{}", service.address)).unwrap();
    let settings = RunnerSettings {
        display_name: name.to_owned(),
        labels: map(&[]),
        capacity: 1,
        execution: Execution::Isolated {
            workspace_dir: Some(service.path("workspaces")),
            keep_workspaces: false,
        },
        supervision: Supervision {
            program: Some(env!("CARGO_BIN_EXE_pipewright").into()),
            ..Supervision::default()
        },
        service: ServicePlace::Elsewhere,
    };
    let leases = RemoteLeases::new(&server, Ok, settings.capacity);
    runner::run(Arc::new(leases), settings, CancellationToken::new()).await
}

#[tokio::test]
async fn a_permanently_refused_runner_ends() {
    let service = Service::without_runner().await;
    let ended = remote(&service, &"n".repeat(129)).await;
    let Err(RunnerError::Refused { why, message }) = ended else {
        panic!("{ended:?}");
    };
    assert_eq!(why, LeaseRefusal::Invalid);
    assert!(message.contains("display_name"), "{message}");

    let closed = Service::with(|config| {
        config.runner = None;
        config.access = Access::Token("secret".to_owned().into());
    })
    .await;
    let ended = remote(&closed, "n").await;
    let refused = LeaseRefusal::NotKnown;
    assert!(matches!(&ended, Err(RunnerError::Refused { why, .. }) if *why == refused));
}

#[tokio::test]
async fn a_remote_runner_behaves_like_the_embedded_one() {
    let service = Service::without_runner().await;
    let stages = [
        stage(
            "make",
            "echo made > file; echo 40 > \"$PIPEWRIGHT_PROGRESS\"",
        ),
        stage("use", "cat file; exit 3"),
    ];
    let job = trigger(&service, stages).await;
    let ended = tokio::select! {
        ended = service.ended(&job.id) => ended,
        ended = remote(&service, "n") => panic!("{ended:?}"),
    };
    assert_eq!(service.log(&job.id, "use").await, b"made\n");
    assert_eq!(ended.stage_runs[1].exit_code, Some(3));
    assert_eq!(ended.state(), v1::job::State::Failed);
}
