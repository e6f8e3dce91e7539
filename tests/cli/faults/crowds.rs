//! Crowds of watchers, some of which do not read.

use std::fs;

use futures_util::future::join_all;
use pipewright::proto::v1::{
    self, job_event::Change, job_service_client::JobServiceClient, read_stage_log_response,
    watch_job_response::Payload,
};
use tonic::{Streaming, transport::Channel};

use crate::{
    binary::{Served, gate},
    crowds::{
        CROWD, NEIGHBOUR, cancel, channel, endpoint, idle_watchers, job, memory, stage, watch,
    },
    faults::beside::beside,
};

const IDLE: usize = 10_000;
/// Limit of their total memory, in KiB. The tests run without optimisation.
const IDLE_MEMORY: u64 = 80 * 1024;
const STALLED: usize = 64;
/// Limit of the memory for 64 watchers and 64 readers that do not read, in KiB: far
/// less than a mebibyte each.
const STALLED_MEMORY: u64 = 32 * 1024;
const STAGES: usize = 150;
const LOG: usize = 1 << 19;

/// All events to the end of a watch, and whether the last one says that the job
/// ended.
async fn events(mut stream: Streaming<v1::WatchJobResponse>) -> (Vec<i64>, bool) {
    let (mut sequences, mut has_ended) = (Vec::new(), false);
    while let Some(message) = stream.message().await.unwrap() {
        let Some(Payload::Events(batch)) = message.payload else {
            continue;
        };
        for event in batch.events {
            assert!(!has_ended, "an event after the end");
            has_ended = matches!(event.change, Some(Change::JobEnded(_)));
            sequences.push(event.sequence);
        }
    }
    (sequences, has_ended)
}

#[tokio::test]
async fn ten_thousand_idle_watchers_take_little_memory_and_miss_nothing() {
    let served = Served::start(&["--no-embedded-runner"]);
    let neighbour = channel(NEIGHBOUR, served.address);
    let job = job(&neighbour, vec![stage("s", "true")]).await;
    let before = memory(served.process.id());
    let begun = idle_watchers(served.address, &job, 100, IDLE / 100);
    let watchers = beside(&neighbour, &job, begun).await;
    let more = memory(served.process.id()).saturating_sub(before);
    println!("{more} KiB for {IDLE} watchers");
    assert!(more <= IDLE_MEMORY, "{more} KiB more for {IDLE} watchers");
    let ended = async {
        cancel(&neighbour, &job).await;
        join_all(watchers.into_iter().map(events)).await
    };
    for (_, has_ended) in beside(&neighbour, &job, ended).await {
        assert!(has_ended);
    }
    served.ends_well();
}

/// Follows a log without reading from the stream yet.
async fn follow(channel: &Channel, job: &v1::Job) -> Streaming<v1::ReadStageLogResponse> {
    let request = v1::ReadStageLogRequest {
        job_id: job.id.clone(),
        stage_name: "s0".to_owned(),
        follow: true,
        ..Default::default()
    };
    let mut jobs = JobServiceClient::new(channel.clone());
    jobs.read_stage_log(request).await.unwrap().into_inner()
}

async fn log(mut stream: Streaming<v1::ReadStageLogResponse>) -> usize {
    use read_stage_log_response::Payload;
    let mut size = 0;
    loop {
        let message = stream.message().await.unwrap().expect("an end");
        match message.payload.unwrap() {
            Payload::Chunk(chunk) => {
                assert_eq!(chunk.offset, i64::try_from(size).unwrap());
                assert!(chunk.data.iter().all(|byte| *byte == b'x'));
                size += chunk.data.len();
            }
            Payload::Heartbeat(_) => {}
            Payload::End(_) => return size,
            Payload::Gap(gap) => panic!("{gap:?}"),
        }
    }
}

#[tokio::test]
async fn slow_consumers_block_no_one_and_read_everything_later() {
    let served = Served::start(&[]);
    let go = served.path("go");
    gate(&go);
    let command = format!(
        "cat '{}'; head -c {LOG} /dev/zero | tr '\\0' x; exit 1",
        go.display()
    );
    let mut stages = vec![stage("s0", &command)];
    // Each is skipped in an event of its own.
    stages.extend((1..STAGES).map(|number| stage(&format!("s{number}"), "true")));
    let neighbour = channel(NEIGHBOUR, served.address);
    let lively = channel(CROWD, served.address);
    let job = job(&lively, stages).await;
    let before = memory(served.process.id());

    let narrow = || {
        let endpoint = endpoint(CROWD, served.address);
        endpoint.initial_stream_window_size(1_024).connect_lazy()
    };
    let shared = narrow();
    let (mut watchers, mut readers) = (Vec::new(), Vec::new());
    for position in 0..STALLED {
        let channel = match position % 2 {
            0 => shared.clone(),
            _ => narrow(),
        };
        watchers.push(watch(&channel, &job, Some(0)).await.unwrap());
        readers.push(follow(&channel, &job).await);
    }
    let seen = async {
        let watching = watch(&lively, &job, Some(0)).await.unwrap();
        let on_the_same = watch(&shared, &job, Some(0)).await.unwrap();
        tokio::task::spawn_blocking(move || fs::write(go, ""))
            .await
            .unwrap()
            .unwrap();
        (
            events(watching).await,
            events(on_the_same).await,
            log(follow(&lively, &job).await).await,
        )
    };
    let (all, same, size) = beside(&neighbour, &job, seen).await;
    let more = memory(served.process.id()).saturating_sub(before);
    println!("{more} KiB for {STALLED} watchers and as many readers who do not read");
    assert!(more <= STALLED_MEMORY, "{more} KiB more");
    let (sequences, has_ended) = &all;
    assert!(*has_ended && sequences.len() > STAGES);
    assert!(sequences.iter().copied().eq(1..=sequences.len() as i64));
    assert_eq!(same, all);
    assert_eq!(size, LOG);

    for read in join_all(watchers.into_iter().map(events)).await {
        assert_eq!(read, all);
    }
    for read in join_all(readers.into_iter().map(log)).await {
        assert_eq!(read, LOG);
    }
    served.ends_well();
}
