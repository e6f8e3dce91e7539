//! Logs over their limits, and thousands of readers.

use std::time::Duration;

use pipewright::proto::v1::{
    self, job_service_client::JobServiceClient, log_gap::Reason, read_stage_log_response::Payload,
};
use tokio::task::JoinSet;
use tonic::{Streaming, transport::Channel};

use crate::service::{Service, open, pipeline, stage};

const LIMIT: i64 = 64 * 1024;
/// Bytes of the first half; of the last half, whole segments are kept.
const KEPT: i64 = LIMIT / 2;
const SEGMENT: i64 = LIMIT / 8;

fn of(job: &v1::Job) -> v1::ReadStageLogRequest {
    v1::ReadStageLogRequest {
        job_id: job.id.clone(),
        stage_name: "s".to_owned(),
        ..Default::default()
    }
}

fn lines(last: u32) -> Vec<u8> {
    (1..=last)
        .flat_map(|number| format!("{number}\n").into_bytes())
        .collect()
}

async fn follow(
    mut jobs: JobServiceClient<Channel>,
    request: v1::ReadStageLogRequest,
) -> Streaming<v1::ReadStageLogResponse> {
    jobs.read_stage_log(request).await.unwrap().into_inner()
}

/// The content of a stream; each part directly follows the previous one.
#[derive(Debug, Default)]
struct Read {
    /// Each with the offset of its first byte.
    chunks: Vec<(i64, Vec<u8>)>,
    gaps: Vec<(i64, i64, Reason)>,
    next_offset: i64,
    end: Option<i64>,
}

impl Read {
    async fn of(mut stream: Streaming<v1::ReadStageLogResponse>, from: i64) -> Self {
        let mut read = Self {
            next_offset: from,
            ..Self::default()
        };
        while let Some(message) = stream.message().await.unwrap() {
            let start = match message.payload.unwrap() {
                Payload::Chunk(chunk) => {
                    read.chunks.push((chunk.offset, chunk.data.to_vec()));
                    chunk.offset
                }
                Payload::Gap(gap) => {
                    assert_eq!(message.next_offset, gap.end_offset);
                    let (start, end) = (gap.start_offset, gap.end_offset);
                    read.gaps.push((start, end, gap.reason()));
                    start
                }
                Payload::Heartbeat(_) => message.next_offset,
                Payload::End(end) => {
                    read.end = Some(end.size_bytes);
                    message.next_offset
                }
            };
            assert_eq!(start, read.next_offset, "no gap and no repeat");
            read.next_offset = message.next_offset;
        }
        read
    }

    fn size(&self) -> usize {
        self.chunks.iter().map(|(_, data)| data.len()).sum()
    }

    #[track_caller]
    fn is_part_of(&self, whole: &[u8]) {
        for (offset, data) in &self.chunks {
            let start = usize::try_from(*offset).unwrap();
            assert!(whole[start..start + data.len()] == *data, "at {offset}");
        }
    }
}

#[tokio::test]
async fn a_log_over_its_limit_keeps_its_head_and_its_tail() {
    let service = Service::with(|config| config.max_stage_log = LIMIT as u64).await;
    let job = service.run(pipeline("p", [stage("s", "seq 50000")])).await;
    let whole = lines(50_000);
    let size = whole.len() as i64;
    assert_eq!(job.stage_runs[0].log_size_bytes, size);
    let tail = KEPT + (size - LIMIT + SEGMENT - 1) / SEGMENT * SEGMENT;
    let last = size - tail;
    assert!(last > KEPT - SEGMENT && last <= KEPT);
    for (offset, limit_bytes, kept, gaps, end) in [
        (0, 0, KEPT + last, vec![(KEPT, tail)], Some(size)),
        (KEPT - 1, 0, 1 + last, vec![(KEPT, tail)], Some(size)),
        (KEPT + 5, 0, last, vec![(KEPT + 5, tail)], Some(size)),
        (tail - 1, 0, last, vec![(tail - 1, tail)], Some(size)),
        (-last, 0, last, vec![], Some(size)),
        (-last - 7, 0, last, vec![(tail - 7, tail)], Some(size)),
        // Only bytes count.
        (KEPT - 1, 10, 10, vec![(KEPT, tail)], None),
        (0, KEPT, KEPT, vec![], None),
        (KEPT, last, last, vec![(KEPT, tail)], Some(size)),
    ] {
        let request = v1::ReadStageLogRequest {
            offset,
            limit_bytes,
            follow: limit_bytes == 0,
            ..of(&job)
        };
        let from = if offset < 0 { size + offset } else { offset };
        let read = Read::of(follow(service.jobs(), request).await, from).await;
        assert_eq!((read.size() as i64, read.end), (kept, end), "{offset}");
        let gaps: Vec<_> = gaps
            .into_iter()
            .map(|(start, end)| (start, end, Reason::SizeLimit))
            .collect();
        assert_eq!(read.gaps, gaps, "from {offset}");
        read.is_part_of(&whole);
    }
}

#[tokio::test]
async fn an_overtaken_follower_gets_the_gap() {
    let service = Service::with(|config| config.max_stage_log = LIMIT as u64).await;
    let gate = service.gate("gate");
    let command = format!("echo 1; cat {}; seq 2 400000", gate.display());
    let created = service.create(pipeline("p", [stage("s", &command)])).await;
    let job = service.trigger(&created).await;
    let request = v1::ReadStageLogRequest {
        follow: true,
        ..of(&job)
    };
    let mut stream = follow(service.jobs(), request).await;
    // The follower is connected when the log begins, and reads on only when it is
    // over.
    let began = async {
        loop {
            let message = stream.message().await.unwrap().unwrap();
            if let Some(Payload::Chunk(chunk)) = message.payload {
                assert_eq!(chunk.data, "1\n");
                return;
            }
        }
    };
    began.await;
    open(&gate, "").await;
    service.ended(&job.id).await;
    let whole = lines(400_000);
    let read = Read::of(stream, 2).await;
    assert_eq!(read.end, Some(whole.len() as i64));
    assert!(!read.gaps.is_empty());
    assert!(read.gaps.iter().all(|gap| gap.2 == Reason::SizeLimit));
    assert!(read.size() as i64 >= LIMIT - SEGMENT - 2);
    read.is_part_of(&whole);
}

#[tokio::test]
async fn the_total_size_of_logs_is_limited() {
    let service = Service::with(|config| config.max_log_total = 3_000).await;
    let write = |name: &'static str| pipeline(name, [stage("s", "head -c 2000 /dev/zero")]);
    let oldest = service.run(write("oldest")).await;
    let newest = service.run(write("newest")).await;
    let request = v1::ReadStageLogRequest {
        offset: 500,
        follow: true,
        ..of(&oldest)
    };
    let read = Read::of(follow(service.jobs(), request).await, 500).await;
    assert_eq!(read.gaps, [(500, 2_000, Reason::Expired)]);
    assert_eq!((read.size(), read.end), (0, Some(2_000)));
    assert_eq!(service.log(&newest.id, "s").await, [0; 2_000]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_followers_of_a_log_get_the_same_bytes() {
    let service = Service::start().await;
    let gate = service.gate("gate");
    let command = format!("seq 10000; cat {}; seq 10001 20000", gate.display());
    let created = service.create(pipeline("p", [stage("s", &command)])).await;
    let job = service.trigger(&created).await;
    let request = v1::ReadStageLogRequest {
        follow: true,
        ..of(&job)
    };
    let mut followers = JoinSet::new();
    // A connection carries 256 streams at most.
    for _ in 0..5 {
        let channel = Channel::from_shared(format!("http://{}", service.address)).unwrap();
        let jobs = JobServiceClient::new(channel.connect().await.unwrap());
        for _ in 0..200 {
            // All of them are connected before the stage continues.
            let stream = follow(jobs.clone(), request.clone()).await;
            followers.spawn(Read::of(stream, 0));
        }
    }
    open(&gate, "").await;
    let whole = lines(20_000);
    let all = tokio::time::timeout(Duration::from_secs(60), followers.join_all());
    for read in all.await.unwrap() {
        assert_eq!(
            (read.size(), read.end),
            (whole.len(), Some(whole.len() as i64))
        );
        read.is_part_of(&whole);
    }
}
