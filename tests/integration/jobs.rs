//! JobService without the streams, and the rules of triggers.

use pipewright::proto::v1::{
    self, ConcurrencyPolicy, RunCondition,
    cancellation::Cause,
    job::State,
    retry_job_request::Scope,
    stage_run::{PendingReason, SkipReason, State as Stage},
};
use tonic::{Code, Status};
use uuid::Uuid;

use crate::{
    processes::living,
    service::{Service, map, open, pipeline, refusal, stage, states},
};

async fn trigger(
    service: &Service,
    request: v1::TriggerPipelineRequest,
) -> Result<v1::Job, Status> {
    let triggered = service.pipelines().trigger_pipeline(request).await?;
    Ok(triggered.into_inner().job.unwrap())
}

async fn retry(service: &Service, job_id: &str, scope: Scope) -> Result<v1::Job, Status> {
    let request = v1::RetryJobRequest {
        job_id: job_id.to_owned(),
        scope: scope.into(),
        ..Default::default()
    };
    Ok(service
        .jobs()
        .retry_job(request)
        .await?
        .into_inner()
        .job
        .unwrap())
}

async fn list(service: &Service, request: v1::ListJobsRequest) -> Vec<v1::Job> {
    service
        .jobs()
        .list_jobs(request)
        .await
        .unwrap()
        .into_inner()
        .jobs
}

#[tokio::test]
async fn a_trigger_returns_a_queued_job() {
    let service = Service::without_runner().await;
    let created = service
        .create(v1::Pipeline {
            git_repository: "https://example.com/r.git".into(),
            default_ref: "main".into(),
            ..pipeline("p", [stage("a", "true"), stage("b", "true")])
        })
        .await;
    let job = service.trigger(&created).await;
    assert_eq!((job.state(), job.number), (State::Queued, 1));
    assert_eq!((job.pipeline_revision, job.git_ref.as_str()), (1, "main"));
    assert_eq!(job.trigger.unwrap().principal, "anonymous");
    assert_eq!(service.trigger(&created).await.number, 2);

    let job = service.get(&job.id).await;
    let reasons: Vec<_> = job
        .stage_runs
        .iter()
        .map(|run| run.pending_reason())
        .collect();
    assert_eq!(
        reasons,
        [PendingReason::NoMatchingRunner, PendingReason::Needs]
    );
}

#[tokio::test]
async fn a_trigger_runs_the_requested_revision() {
    let service = Service::start().await;
    let created = service
        .create(pipeline("p", [stage("s", "echo old")]))
        .await;
    let update = v1::UpdatePipelineRequest {
        pipeline: Some(v1::Pipeline {
            id: created.id.clone(),
            stages: vec![stage("s", "echo new")],
            ..Default::default()
        }),
        ..Default::default()
    };
    service.pipelines().update_pipeline(update).await.unwrap();
    for (revision, expected) in [(0, "new\n"), (1, "old\n"), (2, "new\n")] {
        let request = v1::TriggerPipelineRequest {
            pipeline_id: created.id.clone(),
            revision,
            ..Default::default()
        };
        let job = trigger(&service, request).await.unwrap();
        assert_eq!(service.log(&job.id, "s").await, expected.as_bytes());
    }
}

#[tokio::test]
async fn bad_triggers_are_refused() {
    let service = Service::without_runner().await;
    let created = service.create(pipeline("p", [stage("s", "true")])).await;
    let good = v1::TriggerPipelineRequest {
        pipeline_id: created.id.clone(),
        ..Default::default()
    };
    let with = |change: &dyn Fn(&mut v1::TriggerPipelineRequest)| {
        let mut request = good.clone();
        change(&mut request);
        request
    };
    let cases = [
        (with(&|r| r.pipeline_id.clear()), "pipeline_id"),
        (with(&|r| r.priority = 101), "priority"),
        (with(&|r| r.priority = -101), "priority"),
        (with(&|r| r.git_ref = "-x".into()), "git_ref"),
        // The pipeline has no repository.
        (with(&|r| r.git_ref = "main".into()), "git_ref"),
        (with(&|r| r.revision = -1), "revision"),
        (
            with(&|r| r.variables = map(&[("A-B", "")])),
            "variables[\"A-B\"]",
        ),
        (
            with(&|r| {
                let part = "x".repeat(30 * 1024);
                r.variables = map(&[("A", &part), ("B", &part), ("C", &part)]);
            }),
            "variables",
        ),
    ];
    for (request, field) in cases {
        let refused = refusal(trigger(&service, request).await);
        let field = vec![field.to_owned()];
        assert_eq!(
            refused,
            (Code::InvalidArgument, "INVALID_FIELDS".into(), field)
        );
    }
    let absent = with(&|r| r.pipeline_id = Uuid::now_v7().to_string());
    assert_eq!(
        refusal(trigger(&service, absent).await).1,
        "PIPELINE_NOT_FOUND"
    );
    let revision = refusal(trigger(&service, with(&|r| r.revision = 9)).await);
    assert_eq!(revision.1, "REVISION_NOT_FOUND");

    let checked = trigger(&service, with(&|r| r.validate_only = true))
        .await
        .unwrap();
    assert_eq!((checked.id.as_str(), checked.create_time), ("", None));
    assert!(list(&service, Default::default()).await.is_empty());
}

#[tokio::test]
async fn the_active_jobs_of_a_pipeline_are_limited() {
    let service = Service::without_runner().await;
    let created = service.create(pipeline("p", [stage("s", "true")])).await;
    for _ in 0..1_000 {
        service.trigger(&created).await;
    }
    let request = v1::TriggerPipelineRequest {
        pipeline_id: created.id.clone(),
        ..Default::default()
    };
    let refused = trigger(&service, request).await;
    let quota = tonic_types::StatusExt::get_details_quota_failure(refused.as_ref().unwrap_err());
    assert_eq!(quota.unwrap().violations[0].subject, created.id);
    assert_eq!(
        refusal(refused),
        (
            Code::ResourceExhausted,
            "TOO_MANY_ACTIVE_JOBS".into(),
            vec![]
        )
    );
}

#[tokio::test]
async fn the_queued_stages_are_limited() {
    let service = Service::with(|config| {
        config.runner = None;
        config.limits.max_queued_stages = 2;
    })
    .await;
    for name in ["one", "other"] {
        let created = service.create(pipeline(name, [stage("s", "true")])).await;
        service.trigger(&created).await;
    }
    let created = service.create(pipeline("p", [stage("s", "true")])).await;
    let request = v1::TriggerPipelineRequest {
        pipeline_id: created.id,
        ..Default::default()
    };
    let refused = trigger(&service, request).await;
    assert_eq!(
        refusal(refused),
        (Code::ResourceExhausted, "QUEUE_FULL".into(), vec![])
    );
}

#[tokio::test]
async fn a_cancel_ends_the_processes_and_then_the_job() {
    let service = Service::start().await;
    let command = "sleep 1000 & echo ready; wait";
    let created = service
        .create(pipeline(
            "p",
            [
                stage("long", command),
                v1::Stage {
                    run_condition: RunCondition::Always.into(),
                    ..stage("never", "true")
                },
            ],
        ))
        .await;
    let job = service.trigger(&created).await;
    service.until_logged(&job.id, "long", "ready").await;
    let asked = service.cancel(&job.id).await.unwrap();
    assert!(matches!(
        asked.state(),
        State::Cancelling | State::Cancelled
    ));
    let cancellation = asked.cancellation.unwrap();
    assert_eq!(cancellation.cause(), Cause::Requested);
    assert_eq!(cancellation.reason, "the test says so");
    assert_eq!(cancellation.principal, "anonymous");

    let job = service.ended(&job.id).await;
    assert_eq!(job.state(), State::Cancelled);
    assert_eq!(
        states(&job),
        [("long", Stage::Cancelled), ("never", Stage::Skipped)]
    );
    assert_eq!(job.stage_runs[1].skip_reason(), SkipReason::Cancelled);
    // Each process has the job's id in its environment.
    assert_eq!(living(&job.id), []);
    // A second cancel is fine.
    assert_eq!(
        service.cancel(&job.id).await.unwrap().state(),
        State::Cancelled
    );
}

#[tokio::test]
async fn ended_jobs_cannot_be_cancelled_and_running_jobs_cannot_be_retried() {
    let service = Service::start().await;
    let job = service.run(pipeline("p", [stage("s", "true")])).await;
    let refused = refusal(service.cancel(&job.id).await);
    assert_eq!(
        refused,
        (Code::FailedPrecondition, "JOB_ENDED".into(), vec![])
    );
    let refused = refusal(retry(&service, &job.id, Scope::FailedStages).await);
    assert_eq!(
        refused,
        (Code::FailedPrecondition, "NO_STAGE_TO_RUN".into(), vec![])
    );

    let created = service
        .create(pipeline("q", [stage("s", "exec sleep 1000")]))
        .await;
    let running = service.trigger(&created).await;
    let refused = refusal(retry(&service, &running.id, Scope::AllStages).await);
    assert_eq!(
        refused,
        (Code::FailedPrecondition, "JOB_NOT_ENDED".into(), vec![])
    );
    service.cancel(&running.id).await.unwrap();
    let absent = refusal(service.cancel(&Uuid::now_v7().to_string()).await);
    assert_eq!(absent, (Code::NotFound, "JOB_NOT_FOUND".into(), vec![]));
    let reason = v1::CancelJobRequest {
        job_id: job.id.clone(),
        reason: "x".repeat(513),
    };
    assert_eq!(
        refusal(service.jobs().cancel_job(reason).await).2,
        ["reason"]
    );
}

#[tokio::test]
async fn a_retry_of_failed_stages_carries_over_the_others() {
    let service = Service::start().await;
    let fixed = service.path("fixed");
    let flaky = format!("test -e {}", fixed.display());
    let created = service
        .create(pipeline(
            "p",
            [
                stage("build", "echo built"),
                stage("test", &flaky),
                stage("ship", "echo shipped"),
            ],
        ))
        .await;
    let request = v1::TriggerPipelineRequest {
        pipeline_id: created.id.clone(),
        variables: map(&[("A", "1")]),
        priority: 3,
        ..Default::default()
    };
    let first = trigger(&service, request).await.unwrap();
    let first = service.ended(&first.id).await;
    assert_eq!(first.state(), State::Failed);

    std::fs::write(&fixed, "").unwrap();
    let second = retry(&service, &first.id, Scope::FailedStages)
        .await
        .unwrap();
    assert_eq!(second.retried_job_id, first.id);
    assert_eq!((second.number, second.priority), (2, 3));
    assert_eq!(second.variables, first.variables);
    assert_eq!(
        second.trigger.as_ref().unwrap().source(),
        v1::trigger::Source::Retry
    );
    let second = service.ended(&second.id).await;
    assert_eq!(second.state(), State::Succeeded);
    let carried: Vec<_> = second
        .stage_runs
        .iter()
        .map(|run| run.carried_from_job_id.as_str())
        .collect();
    assert_eq!(carried, [first.id.as_str(), "", ""]);
    // The log of a carried-over stage is served from the job that ran it.
    assert_eq!(service.log(&second.id, "build").await, b"built\n");
    assert_eq!(
        second.stage_runs[0].start_time,
        first.stage_runs[0].start_time
    );

    let third = retry(&service, &first.id, Scope::AllStages).await.unwrap();
    let third = service.ended(&third.id).await;
    assert!(
        third
            .stage_runs
            .iter()
            .all(|run| run.carried_from_job_id.is_empty())
    );
}

/// A stage for failures that did not happen has nothing to repeat.
#[tokio::test]
async fn a_retry_that_would_run_nothing_is_refused() {
    let service = Service::with_workers(1).await;
    let gate = service.gate("gate");
    let waits = stage("waits", &format!("cat {}", gate.display()));
    let created = service
        .create(v1::Pipeline {
            parallel: true,
            ..pipeline(
                "p",
                [
                    stage("good", "true"),
                    waits,
                    v1::Stage {
                        needs: vec!["good".into(), "waits".into()],
                        run_condition: RunCondition::OnFailure.into(),
                        ..stage("alert", "true")
                    },
                ],
            )
        })
        .await;
    let job = service.trigger(&created).await;
    service.until_running(&job.id, "waits").await;
    service.cancel(&job.id).await.unwrap();
    let job = service.ended(&job.id).await;
    assert_eq!(job.stage_runs[2].skip_reason(), SkipReason::Cancelled);
    // The cancelled stage is left to run, so this retry is fine.
    let again = retry(&service, &job.id, Scope::FailedStages).await.unwrap();
    open(&gate, "").await;
    let again = service.ended(&again.id).await;
    assert_eq!(again.stage_runs[2].skip_reason(), SkipReason::Condition);
    let refused = refusal(retry(&service, &again.id, Scope::FailedStages).await);
    assert_eq!(refused.1, "NO_STAGE_TO_RUN");
}

#[tokio::test]
async fn queued_jobs_of_a_pipeline_run_one_after_the_other_in_order() {
    let service = Service::with_workers(4).await;
    let trace = service.path("trace");
    let command = format!("echo + $N >> {0}; echo - $N >> {0}", trace.display());
    let created = service
        .create(v1::Pipeline {
            concurrency_policy: ConcurrencyPolicy::Queue.into(),
            ..pipeline("p", [stage("s", &command)])
        })
        .await;
    let mut jobs = Vec::new();
    for number in 0..10 {
        let request = v1::TriggerPipelineRequest {
            pipeline_id: created.id.clone(),
            variables: map(&[("N", &number.to_string())]),
            // Priority does not reorder them.
            priority: number,
            ..Default::default()
        };
        jobs.push(trigger(&service, request).await.unwrap());
    }
    for job in &jobs {
        assert_eq!(service.ended(&job.id).await.state(), State::Succeeded);
    }
    let expected: String = (0..10)
        .map(|number| format!("+ {number}\n- {number}\n"))
        .collect();
    assert_eq!(std::fs::read_to_string(trace).unwrap(), expected);
}

#[tokio::test]
async fn a_job_that_waits_for_its_turn_shows_it_and_can_be_cancelled() {
    let service = Service::start().await;
    let created = service
        .create(v1::Pipeline {
            concurrency_policy: ConcurrencyPolicy::Queue.into(),
            ..pipeline("p", [stage("s", "exec sleep 1000")])
        })
        .await;
    let running = service.trigger(&created).await;
    let waiting = service.trigger(&created).await;
    let third = service.trigger(&created).await;
    service.until_running(&running.id, "s").await;
    let view = service.get(&waiting.id).await;
    assert_eq!(
        view.stage_runs[0].pending_reason(),
        PendingReason::Concurrency
    );
    assert_eq!(
        service.cancel(&waiting.id).await.unwrap().state(),
        State::Cancelled
    );
    service.cancel(&running.id).await.unwrap();
    service.until_running(&third.id, "s").await;
    service.cancel(&third.id).await.unwrap();
    service.ended(&third.id).await;
}

/// Two hundred rounds of eight concurrent triggers: the commands never overlap, the
/// newest job of a round runs, and each of the others names its successor.
#[tokio::test]
async fn of_simultaneous_triggers_that_supersede_one_succeeds() {
    const ROUNDS: usize = 200;
    let service = Service::with_workers(4).await;
    let trace = service.path("trace");
    let gate = service.path("gate");
    std::fs::create_dir(&gate).unwrap();
    // The job that is to succeed is the one that is let through the round's pipe. A
    // command that is ended before its trap is set has written nothing yet.
    let command = format!(
        r#"
        trap 'stopped=yes' TERM
        echo "+ $PIPEWRIGHT_JOB_ID" >> {trace}
        while [ ! -e {gate}/$PIPEWRIGHT_JOB_ID ] && [ -z "$stopped" ]; do sleep 0.005 || :; done
        echo "- $PIPEWRIGHT_JOB_ID" >> {trace}
        test -z "$stopped"
        "#,
        trace = trace.display(),
        gate = gate.display(),
    );
    let created = service
        .create(v1::Pipeline {
            concurrency_policy: ConcurrencyPolicy::CancelRunning.into(),
            ..pipeline("p", [stage("s", &command)])
        })
        .await;
    for _ in 0..ROUNDS {
        let triggers = (0..8).map(|_| service.trigger(&created));
        let mut jobs = futures_util::future::join_all(triggers).await;
        jobs.sort_by_key(|job| job.number);
        let newest = jobs.pop().unwrap();
        std::fs::write(gate.join(&newest.id), "").unwrap();
        assert_eq!(service.ended(&newest.id).await.state(), State::Succeeded);
        let mut successors: Vec<_> = jobs.iter().skip(1).map(|job| job.id.clone()).collect();
        successors.push(newest.id);
        for (job, successor) in jobs.iter().zip(successors) {
            let job = service.ended(&job.id).await;
            assert_eq!(job.state(), State::Cancelled);
            let cancellation = job.cancellation.unwrap();
            assert_eq!(cancellation.cause(), Cause::Superseded);
            assert_eq!(cancellation.superseding_job_id, successor);
        }
    }
    let trace = std::fs::read_to_string(trace).unwrap();
    let mut inside = None;
    for line in trace.lines() {
        match (line.split_at(2), inside) {
            (("+ ", job), None) => inside = Some(job),
            (("- ", job), Some(other)) if job == other => inside = None,
            (_, inside) => panic!("'{line}' while {inside:?} runs"),
        }
    }
    assert_eq!(inside, None);
}

#[tokio::test]
async fn jobs_are_listed_newest_first_by_state_project_and_pipeline() {
    let service = Service::start().await;
    let good = service.create(pipeline("good", [stage("s", "true")])).await;
    let bad = service
        .create(v1::Pipeline {
            project: "other".into(),
            ..pipeline("bad", [stage("s", "false")])
        })
        .await;
    let mut ids = Vec::new();
    for number in 0..6 {
        let pipeline = if number % 3 == 0 { &bad } else { &good };
        let job = service.trigger(pipeline).await;
        service.ended(&job.id).await;
        ids.push(job.id);
    }
    let request = |project: &str, pipeline_id: &str, states: &[State]| v1::ListJobsRequest {
        project: project.into(),
        pipeline_id: pipeline_id.into(),
        states: states.iter().map(|state| (*state).into()).collect(),
        ..Default::default()
    };
    for (request, expected) in [
        (request("", "", &[]), vec![5, 4, 3, 2, 1, 0]),
        (request("", "", &[State::Failed]), vec![3, 0]),
        (
            request("", "", &[State::Failed, State::Succeeded]),
            vec![5, 4, 3, 2, 1, 0],
        ),
        (request("other", "", &[]), vec![3, 0]),
        (
            request("", &good.id, &[State::Succeeded, State::Succeeded]),
            vec![5, 4, 2, 1],
        ),
        (request("other", &good.id, &[]), vec![]),
        (request("", "", &[State::Running]), vec![]),
    ] {
        let found = list(&service, request.clone()).await;
        assert!(found.iter().all(|job| job.stage_runs.is_empty()));
        let found: Vec<_> = found
            .iter()
            .map(|job| ids.iter().position(|id| *id == job.id).unwrap())
            .collect();
        assert_eq!(found, expected, "{request:?}");
    }
    let nonsense = v1::ListJobsRequest {
        states: vec![State::Failed.into(), 77],
        ..Default::default()
    };
    assert_eq!(
        refusal(service.jobs().list_jobs(nonsense).await).2,
        ["states[1]"]
    );
}
