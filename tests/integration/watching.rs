//! The six rules of WatchJob.

use std::{path::Path, time::Duration};

use futures_util::future::join_all;
use pipewright::proto::v1::{
    self, job::State, job_event::Change, job_service_client::JobServiceClient,
    job_snapshot::Reason, watch_job_response::Payload,
};
use tonic::{Code, transport::Endpoint};

use crate::service::{Service, events_of, open, pipeline, refusal, stage};

fn sequences(events: &[v1::JobEvent]) -> Vec<i64> {
    events.iter().map(|event| event.sequence).collect()
}

fn is_end(event: &v1::JobEvent) -> bool {
    matches!(event.change, Some(Change::JobEnded(_)))
}

fn three_stages() -> v1::Pipeline {
    pipeline(
        "p",
        ["one", "two", "three"].map(|name| stage(name, "echo hello")),
    )
}

/// Rules 1 and 4: numbered from 1 without gaps, Created first, Ended last, and
/// folding them gives the job.
#[tokio::test]
async fn events_are_numbered_and_add_up_to_the_job() {
    let service = Service::start().await;
    let created = service.create(three_stages()).await;
    let job = service.trigger(&created).await;
    let events = service.events(&job.id).await;

    assert_eq!(
        sequences(&events),
        (1..=events.len() as i64).collect::<Vec<_>>()
    );
    assert!(matches!(events[0].change, Some(Change::JobCreated(_))));
    assert_eq!(events.iter().filter(|event| is_end(event)).count(), 1);
    assert!(is_end(events.last().unwrap()));
    assert!(
        events
            .windows(2)
            .all(|two| two[0].progress_percent <= two[1].progress_percent)
    );
    assert_eq!(fold(&events), service.get(&job.id).await);
}

/// Folds events as a client would, from the contract alone.
fn fold(events: &[v1::JobEvent]) -> v1::Job {
    let mut job = v1::Job::default();
    for event in events {
        match event.change.clone().unwrap() {
            Change::JobCreated(created) => job = created.job.unwrap(),
            Change::JobChanged(changed) => {
                let stage_runs = std::mem::take(&mut job.stage_runs);
                job = v1::Job {
                    stage_runs,
                    ..changed.job.unwrap()
                };
            }
            Change::StageRunChanged(changed) => {
                let new = changed.stage_run.unwrap();
                let name = (new.stage_name.clone(), new.attempt);
                let same = |run: &v1::StageRun| (run.stage_name.clone(), run.attempt) == name;
                let position = job.stage_runs.iter().position(same).unwrap();
                job.stage_runs[position] = new;
            }
            Change::StageProgressed(progressed) => {
                let name = (progressed.stage_name, progressed.attempt);
                let same = |run: &v1::StageRun| (run.stage_name.clone(), run.attempt) == name;
                let position = job.stage_runs.iter().position(same).unwrap();
                job.stage_runs[position].progress_percent = progressed.progress_percent;
            }
            Change::JobEnded(ended) => {
                // The last event repeats the content of the earlier ones.
                let ended = ended.job.unwrap();
                assert_eq!(ended.stage_runs, job.stage_runs);
                job = ended;
            }
        }
        job.last_sequence = event.sequence;
        job.progress_percent = event.progress_percent;
    }
    job
}

/// Rule 2: a snapshot and the events after it are complete, at any moment.
#[tokio::test]
async fn a_watch_without_a_sequence_begins_with_a_snapshot() {
    let service = Service::start().await;
    let created = service.create(three_stages()).await;
    let job = service.trigger(&created).await;
    let mut stream = service.watch(&job.id, None).await;
    let Some(Payload::Snapshot(snapshot)) = stream.message().await.unwrap().unwrap().payload else {
        panic!("the first message is the snapshot");
    };
    assert_eq!(snapshot.reason(), Reason::Initial);
    let first = snapshot.job.unwrap().last_sequence + 1;
    let mut events = Vec::new();
    while let Some(message) = stream.message().await.unwrap() {
        events.extend(events_of(message));
    }
    let last = events.last().unwrap().sequence;
    assert_eq!(sequences(&events), (first..=last).collect::<Vec<_>>());
    assert!(is_end(events.last().unwrap()));

    // After the end the snapshot is the only message.
    let mut stream = service.watch(&job.id, None).await;
    let message = stream.message().await.unwrap().unwrap();
    let Some(Payload::Snapshot(snapshot)) = message.payload else {
        panic!("the first message is the snapshot");
    };
    assert_eq!(snapshot.job.unwrap().state(), State::Succeeded);
    assert_eq!(stream.message().await.unwrap(), None);
}

/// Rule 2: a sequence ahead of the job is answered with a snapshot that says so.
#[tokio::test]
async fn a_sequence_ahead_of_the_job_is_answered_with_a_snapshot() {
    let service = Service::start().await;
    let job = service.run(three_stages()).await;
    let mut stream = service.watch(&job.id, Some(1_000)).await;
    let Some(Payload::Snapshot(snapshot)) = stream.message().await.unwrap().unwrap().payload else {
        panic!("the first message is the snapshot");
    };
    assert_eq!(snapshot.reason(), Reason::SequenceAhead);
    assert_eq!(snapshot.job.unwrap().last_sequence, job.last_sequence);
    assert_eq!(stream.message().await.unwrap(), None);
}

/// Rule 3: a heartbeat follows the backlog, and then every silent interval.
#[tokio::test]
async fn heartbeats_follow_the_backlog_and_every_silence() {
    let service = Service::without_runner().await;
    let created = service.create(three_stages()).await;
    let job = service.trigger(&created).await;
    let request = v1::WatchJobRequest {
        job_id: job.id.clone(),
        last_seen_sequence: Some(0),
        heartbeat_interval: Some(prost_types::Duration {
            seconds: 1,
            nanos: 0,
        }),
    };
    let mut stream = service
        .jobs()
        .watch_job(request)
        .await
        .unwrap()
        .into_inner();
    let backlog = events_of(stream.message().await.unwrap().unwrap());
    for _ in 0..2 {
        let payload = stream.message().await.unwrap().unwrap().payload;
        let Some(Payload::Heartbeat(heartbeat)) = payload else {
            panic!("{payload:?} is no heartbeat");
        };
        assert_eq!(heartbeat.last_sequence, backlog.last().unwrap().sequence);
    }
}

/// Rule 4: after the last event there is nothing to send but OK.
#[tokio::test]
async fn a_watch_that_has_seen_the_end_ends_immediately() {
    let service = Service::start().await;
    let job = service.run(three_stages()).await;
    let mut stream = service.watch(&job.id, Some(job.last_sequence)).await;
    assert_eq!(stream.message().await.unwrap(), None);
}

/// Rule 5: final refusals.
#[tokio::test]
async fn an_invalid_watch_is_refused() {
    let service = Service::start().await;
    let watch = async |request: v1::WatchJobRequest| {
        refusal(service.jobs().watch_job(request).await.map(|_| ()))
    };
    let absent = v1::WatchJobRequest {
        job_id: "0197f6a4-0000-7000-8000-000000000000".to_owned(),
        ..Default::default()
    };
    assert_eq!(
        watch(absent.clone()).await,
        (Code::NotFound, "JOB_NOT_FOUND".into(), vec![])
    );
    for (request, field) in [
        (v1::WatchJobRequest::default(), "job_id"),
        (
            v1::WatchJobRequest {
                job_id: "nonsense".to_owned(),
                ..Default::default()
            },
            "job_id",
        ),
        (
            v1::WatchJobRequest {
                last_seen_sequence: Some(-1),
                ..absent.clone()
            },
            "last_seen_sequence",
        ),
        (
            v1::WatchJobRequest {
                heartbeat_interval: Some(prost_types::Duration {
                    seconds: 61,
                    nanos: 0,
                }),
                ..absent.clone()
            },
            "heartbeat_interval",
        ),
    ] {
        let expected = (
            Code::InvalidArgument,
            "INVALID_FIELDS".to_owned(),
            vec![field.to_owned()],
        );
        assert_eq!(watch(request).await, expected);
    }
}

/// A watcher that reconnects after every single event sees each exactly once.
#[tokio::test]
async fn reconnecting_after_every_event_loses_and_repeats_nothing() {
    let service = Service::start().await;
    let created = service.create(three_stages()).await;
    let job = service.trigger(&created).await;
    let mut seen: Vec<v1::JobEvent> = Vec::new();
    while !seen.last().is_some_and(is_end) {
        let cursor = seen.last().map_or(0, |event| event.sequence);
        let mut stream = service.watch(&job.id, Some(cursor)).await;
        let event = loop {
            let message = stream
                .message()
                .await
                .unwrap()
                .expect("the job has not ended");
            if let Some(event) = events_of(message).into_iter().next() {
                break event;
            }
        };
        assert_eq!(event.sequence, cursor + 1);
        seen.push(event);
    }
    assert_eq!(seen, service.events(&job.id).await);
}

/// Resuming at each point of the past gives exactly the rest.
#[tokio::test]
async fn every_point_of_the_past_can_be_resumed_from() {
    let service = Service::start().await;
    let job = service.run(three_stages()).await;
    let all = service.events(&job.id).await;
    for cursor in 0..=all.len() {
        let mut stream = service.watch(&job.id, Some(cursor as i64)).await;
        let mut rest = Vec::new();
        while let Some(message) = stream.message().await.unwrap() {
            rest.extend(events_of(message));
        }
        assert_eq!(rest, all[cursor..]);
    }
}

/// Rule 6 and the same list for all: a thousand watchers of one job, a third each
/// before it starts, while it runs and after its end.
#[tokio::test]
async fn a_thousand_watchers_see_the_same_events() {
    let service = Service::with_workers(1).await;
    let (first, second) = (service.gate("first"), service.gate("second"));
    let wait = |gate: &Path| stage("wait", &format!("cat {}", gate.display()));
    let blocking = service.create(pipeline("blocking", [wait(&first)])).await;
    let watched = service
        .create(pipeline("p", [wait(&second), stage("go", "true")]))
        .await;
    let blocker = service.trigger(&blocking).await;
    service.until_running(&blocker.id, "wait").await;
    let job = service.trigger(&watched).await;

    let mut streams = watch_often(&service, &job.id, 334).await;
    open(&first, "go").await;
    service.until_running(&job.id, "wait").await;
    streams.extend(watch_often(&service, &job.id, 333).await);
    open(&second, "go").await;
    service.ended(&job.id).await;
    streams.extend(watch_often(&service, &job.id, 333).await);

    let seen = join_all(streams.into_iter().map(async |mut stream| {
        let mut events = Vec::new();
        while let Some(message) = stream.message().await.unwrap() {
            events.extend(events_of(message));
        }
        events
    }))
    .await;
    let all = service.events(&job.id).await;
    assert!(is_end(all.last().unwrap()));
    assert_eq!(seen.len(), 1_000);
    assert!(seen.iter().all(|events| *events == all));
}

/// Opens this many watches of a job from its first event on; a connection carries
/// 256 streams at most.
async fn watch_often(
    service: &Service,
    job_id: &str,
    times: usize,
) -> Vec<tonic::Streaming<v1::WatchJobResponse>> {
    let endpoint = Endpoint::from_shared(format!("http://{}", service.address)).unwrap();
    let channels: Vec<_> = (0..2).map(|_| endpoint.connect_lazy()).collect();
    let watches = (0..times).map(|number| {
        let mut jobs = JobServiceClient::new(channels[number % channels.len()].clone());
        let request = v1::WatchJobRequest {
            job_id: job_id.to_owned(),
            last_seen_sequence: Some(0),
            heartbeat_interval: None,
        };
        async move { jobs.watch_job(request).await.unwrap().into_inner() }
    });
    join_all(watches).await
}

/// Rule 6: watchers that never read block no one, including the job.
#[tokio::test]
async fn stalled_watchers_block_no_one() {
    let service = Service::start().await;
    let stages = (0..60).map(|n| stage(&format!("s{n}"), "true"));
    let created = service
        .create(v1::Pipeline {
            parallel: true,
            ..pipeline("p", stages)
        })
        .await;
    let job = service.trigger(&created).await;
    let mut stalled = Vec::new();
    for _ in 0..64 {
        stalled.push(service.watch(&job.id, Some(0)).await);
    }
    // On the same connection as those that do not read.
    let ended = service.ended(&job.id).await;
    assert_eq!(ended.state(), State::Succeeded);
    // And each of them can still read everything.
    for mut stream in stalled {
        let mut last = 0;
        while let Some(message) = stream.message().await.unwrap() {
            for event in events_of(message) {
                assert_eq!(event.sequence, last + 1);
                last = event.sequence;
            }
        }
        assert_eq!(last, ended.last_sequence);
    }
}

/// A watch that ends with the server says that it can be resumed.
#[tokio::test]
async fn a_stop_ends_the_jobs_and_notifies_their_watchers() {
    let mut service = Service::start().await;
    let created = service
        .create(pipeline("p", [stage("s", "exec sleep 1000")]))
        .await;
    let job = service.trigger(&created).await;
    service.until_running(&job.id, "s").await;
    let mut stream = service.watch(&job.id, Some(0)).await;
    service.begin_stop();
    let mut events = Vec::new();
    while let Some(message) = stream.message().await.unwrap() {
        events.extend(events_of(message));
    }
    let Some(Change::JobEnded(ended)) = events.pop().unwrap().change else {
        panic!("the end of the job precedes the stop");
    };
    let job = ended.job.unwrap();
    assert_eq!(job.state(), State::Cancelled);
    assert_eq!(
        job.cancellation.unwrap().cause(),
        v1::cancellation::Cause::ServerStopped
    );
    service.stopped().await.unwrap();
}

/// A stage that does not end within the drain does not delay the service; its
/// watchers are asked to resume.
#[tokio::test]
async fn watchers_of_jobs_that_outlive_the_drain_are_asked_to_resume() {
    let mut service = Service::with(|config| {
        config.kill_grace = Duration::from_secs(60);
        config.drain = Duration::from_millis(200);
    })
    .await;
    let stubborn = stage("s", "trap '' TERM; echo ready; while :; do sleep 0.1; done");
    let created = service.create(pipeline("p", [stubborn])).await;
    let job = service.trigger(&created).await;
    service.until_logged(&job.id, "s", "ready").await;
    let mut stream = service.watch(&job.id, Some(0)).await;
    service.begin_stop();
    let end = loop {
        match stream.message().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("OK would mean that the end of the job was sent"),
            Err(status) => break status,
        }
    };
    assert_eq!(
        refusal(Err::<(), _>(end)),
        (Code::Unavailable, "SERVER_STOPPING".into(), vec![])
    );
    service.stopped().await.unwrap();
}
