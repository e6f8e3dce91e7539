//! Stages run with real processes, in the order of the pipeline.

use std::{collections::HashSet, time::Duration};

use pipewright::proto::v1::{
    self, RunCondition,
    failure::Reason,
    job::State as Job,
    job_event::Change,
    stage_run::{SkipReason, State as Stage},
};

use crate::service::{Service, map, open, pipeline, stage, states};

#[tokio::test]
async fn a_sequence_runs_in_order_and_succeeds() {
    let service = Service::start().await;
    let trace = service.path("trace");
    let write = |name: &str| stage(name, &format!("echo {name} >> {}", trace.display()));
    let job = service
        .run(pipeline("p", ["one", "two", "three"].map(write)))
        .await;

    assert_eq!(job.state(), Job::Succeeded);
    assert_eq!(job.progress_percent, 100);
    assert!(job.start_time.is_some() && job.end_time.is_some());
    assert_eq!(std::fs::read_to_string(trace).unwrap(), "one\ntwo\nthree\n");
    assert!(job.stage_runs.iter().all(|run| run.exit_code == Some(0)));
}

#[tokio::test]
async fn two_hundred_parallel_stages_reach_the_workers_and_never_exceed_them() {
    const WORKERS: usize = 4;
    let service = Service::with_workers(WORKERS).await;
    let (names, running, seen) = (
        service.path("names"),
        service.path("running"),
        service.path("seen"),
    );
    std::fs::create_dir(&running).unwrap();
    // Each stage records the concurrent ones; it waits until all workers were busy
    // once.
    let command = format!(
        r#"
        mkdir "{running}/$PIPEWRIGHT_STAGE_NAME"
        echo "$PIPEWRIGHT_STAGE_NAME" >> {names}
        while :; do
            count=$(ls {running} | wc -l)
            echo "$count" >> {seen}
            if [ "$count" -ge {WORKERS} ] || [ -e {running}.full ]; then break; fi
        done
        touch {running}.full
        rmdir "{running}/$PIPEWRIGHT_STAGE_NAME"
        "#,
        running = running.display(),
        names = names.display(),
        seen = seen.display(),
    );
    let stages = (0..200).map(|n| stage(&format!("stage-{n}"), &command));
    let job = service
        .run(v1::Pipeline {
            parallel: true,
            ..pipeline("wide", stages)
        })
        .await;

    assert_eq!(job.state(), Job::Succeeded);
    let names = std::fs::read_to_string(names).unwrap();
    assert_eq!(names.lines().count(), 200);
    assert_eq!(names.lines().collect::<HashSet<_>>().len(), 200);
    let seen = std::fs::read_to_string(seen).unwrap();
    let most = seen
        .lines()
        .map(|line| line.trim().parse::<usize>().unwrap())
        .max();
    assert_eq!(most, Some(WORKERS));
}

#[tokio::test]
async fn a_failure_runs_failure_stages_and_skips_the_rest() {
    let service = Service::start().await;
    let job = service
        .run(pipeline(
            "p",
            [
                stage("test", "exit 3"),
                v1::Stage {
                    run_condition: RunCondition::OnFailure.into(),
                    ..stage("notify", "true")
                },
                stage("deploy", "true"),
                v1::Stage {
                    run_condition: RunCondition::Always.into(),
                    ..stage("clean", "true")
                },
            ],
        ))
        .await;

    assert_eq!(job.state(), Job::Failed);
    assert_eq!(
        states(&job),
        [
            ("test", Stage::Failed),
            ("notify", Stage::Succeeded),
            ("deploy", Stage::Skipped),
            ("clean", Stage::Succeeded),
        ]
    );
    assert_eq!(job.stage_runs[0].exit_code, Some(3));
    assert_eq!(job.stage_runs[2].skip_reason(), SkipReason::NeedsFailed);
    let failure = job.failure.unwrap();
    assert_eq!(
        (failure.reason(), failure.stage_name.as_str()),
        (Reason::CommandFailed, "test")
    );
    assert!(failure.message.contains("status 3"), "{}", failure.message);
    assert!(job.progress_percent < 100);
}

#[tokio::test]
async fn needs_order_a_parallel_pipeline() {
    let service = Service::with_workers(4).await;
    let trace = service.path("trace");
    let after = |name: &str, needs: &[&str]| v1::Stage {
        needs: needs.iter().map(|need| (*need).to_owned()).collect(),
        ..stage(name, &format!("echo {name} >> {}", trace.display()))
    };
    let job = service
        .run(v1::Pipeline {
            parallel: true,
            ..pipeline(
                "diamond",
                [
                    after("end", &["left", "right"]),
                    after("left", &["start"]),
                    after("right", &["start"]),
                    after("start", &[]),
                ],
            )
        })
        .await;

    assert_eq!(job.state(), Job::Succeeded);
    let trace = std::fs::read_to_string(trace).unwrap();
    let order: Vec<&str> = trace.lines().collect();
    assert_eq!((order[0], order[3]), ("start", "end"));
}

#[tokio::test]
async fn the_environment_has_the_variables_and_those_of_the_service() {
    let service = Service::start().await;
    let created = service
        .create(v1::Pipeline {
            variables: map(&[("A", "pipeline"), ("B", "pipeline"), ("C", "pipeline")]),
            ..pipeline(
                "a\";id>x;\"",
                [v1::Stage {
                    variables: map(&[("B", "stage"), ("C", "stage")]),
                    ..stage("env", "env")
                }],
            )
        })
        .await;
    let request = v1::TriggerPipelineRequest {
        pipeline_id: created.id.clone(),
        variables: map(&[("C", "$(touch trigger)\n")]),
        ..Default::default()
    };
    let job = service.pipelines().trigger_pipeline(request).await.unwrap();
    let job = job.into_inner().job.unwrap();
    assert_eq!(service.ended(&job.id).await.state(), Job::Succeeded);

    let log = String::from_utf8(service.log(&job.id, "env").await).unwrap();
    for line in [
        "A=pipeline",
        "B=stage",
        "C=$(touch trigger)",
        "CI=true",
        "PIPEWRIGHT_PROJECT=default",
        "PIPEWRIGHT_STAGE_NAME=env",
        "PIPEWRIGHT_ATTEMPT=1",
        "PIPEWRIGHT_GIT_REF=",
        &format!("PIPEWRIGHT_JOB_ID={}", job.id),
        &format!("PIPEWRIGHT_PIPELINE_ID={}", created.id),
        "PIPEWRIGHT_PIPELINE_NAME=a\";id>x;\"",
    ] {
        assert!(
            log.lines().any(|found| found == line),
            "{line} is not in\n{log}"
        );
    }
    assert!(log.contains("\nPIPEWRIGHT_FENCING_TOKEN="));
}

#[tokio::test]
async fn a_stage_that_exceeds_its_timeout_is_ended_and_fails() {
    let service = Service::start().await;
    let timeout = prost_types::Duration {
        seconds: 1,
        nanos: 0,
    };
    let job = service
        .run(pipeline(
            "p",
            [v1::Stage {
                timeout: Some(timeout),
                ..stage("slow", "exec sleep 1000")
            }],
        ))
        .await;

    assert_eq!(job.state(), Job::Failed);
    assert_eq!(job.failure.unwrap().reason(), Reason::TimedOut);
}

#[tokio::test]
async fn the_workspace_is_shared_by_the_stages_and_gone_after_the_job() {
    let service = Service::start().await;
    let job = service
        .run(pipeline(
            "p",
            [
                stage("make", "echo hello > made"),
                stage("read", "cat made"),
            ],
        ))
        .await;
    assert_eq!(job.state(), Job::Succeeded);
    assert_eq!(service.log(&job.id, "read").await, b"hello\n");

    // The next job's first stage begins after the runner has processed the end.
    let job = service.run(pipeline("q", [stage("look", "ls -A")])).await;
    assert_eq!(service.log(&job.id, "look").await, b"");
    assert!(
        service
            .workspaces()
            .iter()
            .all(|path| !path.join("src/made").exists())
    );
}

#[tokio::test]
async fn a_stage_for_labels_that_no_runner_has_waits_and_shows_why() {
    let service = Service::start().await;
    let created = service
        .create(pipeline(
            "p",
            [v1::Stage {
                runner_labels: map(&[("gpu", "yes")]),
                ..stage("train", "true")
            }],
        ))
        .await;
    let job = service.trigger(&created).await;
    let job = service.get(&job.id).await;
    assert_eq!(job.state(), Job::Queued);
    let reason = job.stage_runs[0].pending_reason();
    assert_eq!(reason, v1::stage_run::PendingReason::NoMatchingRunner);
}

#[tokio::test]
async fn higher_priority_goes_first() {
    let mut service = Service::with_workers(1).await;
    let (trace, gate) = (service.path("trace"), service.gate("gate"));

    let block = service.create(pipeline(
        "block",
        [stage("s", &format!("cat {}", gate.display()))],
    ));
    let block = service.trigger(&block.await).await;
    service.until_running(&block.id, "s").await;

    let mut jobs = Vec::new();
    let command = format!("echo $P >> {}", trace.display());
    let created = service.create(pipeline("p", [stage("s", &command)])).await;
    for priority in [-5, 0, 7, 7, 100] {
        let request = v1::TriggerPipelineRequest {
            pipeline_id: created.id.clone(),
            priority,
            variables: map(&[("P", &priority.to_string())]),
            ..Default::default()
        };
        let job = service.pipelines().trigger_pipeline(request).await.unwrap();
        jobs.push(job.into_inner().job.unwrap());
    }
    open(&gate, "go").await;
    for job in jobs {
        service.ended(&job.id).await;
    }
    assert_eq!(
        std::fs::read_to_string(trace).unwrap(),
        "100\n7\n7\n0\n-5\n"
    );
    service.begin_stop();
    service.stopped().await.unwrap();
}

#[tokio::test]
async fn a_stage_reports_its_progress_in_a_file() {
    let service = Service::start().await;
    let (first, second) = (service.gate("first"), service.gate("second"));
    let command = format!(
        "echo 40 > $PIPEWRIGHT_PROGRESS; cat {}; echo 30 > $PIPEWRIGHT_PROGRESS; cat {}",
        first.display(),
        second.display()
    );
    let created = service
        .create(pipeline("p", [stage("s", &command), stage("t", "true")]))
        .await;
    let job = service.trigger(&created).await;
    service
        .until(&job.id, |event| match &event.change {
            Some(Change::StageProgressed(progressed)) => {
                assert_eq!(
                    (progressed.stage_name.as_str(), progressed.attempt),
                    ("s", 1)
                );
                assert_eq!(
                    (progressed.progress_percent, event.progress_percent),
                    (40, 20)
                );
                true
            }
            _ => false,
        })
        .await;
    assert_eq!(
        service.get(&job.id).await.stage_runs[0].progress_percent,
        40
    );
    open(&first, "").await;
    open(&second, "").await;
    // A decrease is not progress, and the end of a stage is 100 percent.
    let ended = service.ended(&job.id).await;
    assert_eq!(ended.state(), Job::Succeeded);
    let percent: Vec<_> = ended
        .stage_runs
        .iter()
        .map(|run| run.progress_percent)
        .collect();
    assert_eq!(percent, [100, 100]);
    let events = service.events(&job.id).await;
    let progressed =
        |event: &&v1::JobEvent| matches!(event.change, Some(Change::StageProgressed(_)));
    assert_eq!(events.iter().filter(progressed).count(), 1);
}

#[tokio::test]
async fn a_job_weighs_its_stages_by_how_long_they_took_before() {
    let service = Service::start().await;
    let (short, long) = (service.gate("short"), service.gate("long"));
    let wait = |gate: &std::path::Path| format!("cat {}", gate.display());
    let stages = [stage("short", &wait(&short)), stage("long", &wait(&long))];
    let created = service.create(pipeline("p", stages)).await;
    let mut halfway = Vec::new();
    for _ in 0..2 {
        let job = service.trigger(&created).await;
        service.until_running(&job.id, "short").await;
        service.clock.advance(Duration::from_secs(100));
        open(&short, "go").await;
        service.until_running(&job.id, "long").await;
        halfway.push(service.get(&job.id).await.progress_percent);
        service.clock.advance(Duration::from_secs(900));
        open(&long, "go").await;
        assert_eq!(service.ended(&job.id).await.progress_percent, 100);
    }
    // Equal weights without history; a tenth of the whole with it.
    assert_eq!(halfway[0], 50);
    assert!((9..=11).contains(&halfway[1]), "{halfway:?}");
}
