//! Watchers of jobs and readers of logs, which outlive the service.

use std::sync::{Arc, atomic::Ordering};

use pipewright::proto::v1::{
    self, job_event::Change, job_service_client::JobServiceClient, read_stage_log_response,
    watch_job_response::Payload,
};
use tonic::{Code, Status, transport::Channel};

use super::{World, calls::is_unclear, history::Seen, stages::Attempt};

/// A watch, and how far it is.
pub(crate) struct Watch {
    pub(crate) watcher: u32,
    pub(crate) job: u32,
    pub(crate) job_id: String,
    last_seen: i64,
}

impl Watch {
    pub(crate) fn new(world: &World, job: u32, job_id: String) -> Self {
        Self {
            watcher: world.watchers.fetch_add(1, Ordering::Relaxed),
            job,
            job_id,
            last_seen: 0,
        }
    }

    /// Watches until the job is over, over all restarts.
    pub(crate) async fn follow(mut self, world: Arc<World>, channel: Channel) {
        loop {
            world.until_up().await;
            match self.events(&world, &channel, i64::MAX).await {
                Ok(()) => return,
                Err(status) if is_unclear(&status) => {}
                Err(status) => {
                    return world.fail(format!("watch of {}: {status:?}", self.job_id));
                }
            }
        }
    }

    /// Reads events up to one, or to the end.
    pub(crate) async fn events(
        &mut self,
        world: &World,
        channel: &Channel,
        until: i64,
    ) -> Result<(), Status> {
        let request = v1::WatchJobRequest {
            job_id: self.job_id.clone(),
            last_seen_sequence: Some(self.last_seen),
            heartbeat_interval: None,
        };
        let mut jobs = JobServiceClient::new(channel.clone());
        let mut stream = jobs.watch_job(request).await?.into_inner();
        while self.last_seen < until {
            let Some(message) = stream.message().await? else {
                let (watcher, job) = (self.watcher, self.job);
                world.saw(&Seen::WatchEnded { watcher, job });
                return Ok(());
            };
            match message.payload {
                Some(Payload::Events(batch)) => {
                    for event in batch.events {
                        self.take(world, &event);
                    }
                }
                Some(Payload::Heartbeat(_)) => {}
                other => world.fail(format!(
                    "watch of {} after {}: {other:?}",
                    self.job_id, self.last_seen
                )),
            }
        }
        Ok(())
    }

    fn take(&mut self, world: &World, event: &v1::JobEvent) {
        world.saw(&Seen::Event {
            watcher: self.watcher,
            job: self.job,
            sequence: event.sequence,
            what: format!("{event:?}"),
            is_terminal: matches!(event.change, Some(Change::JobEnded(_))),
        });
        self.last_seen = event.sequence;
    }
}

/// What a reader of a log has seen.
#[derive(Debug, Default)]
pub(crate) struct ReadLog {
    /// The next offset.
    pub(crate) offset: usize,
    pub(crate) gaps: Vec<v1::LogGap>,
    pub(crate) size: Option<i64>,
}

impl ReadLog {
    /// Reads an attempt's log to its end, and compares it with what its command writes.
    pub(crate) async fn read(
        &mut self,
        world: &World,
        channel: &Channel,
        attempt: &Attempt,
        follow: bool,
    ) -> Result<(), Status> {
        let written = attempt.log();
        let request = v1::ReadStageLogRequest {
            job_id: attempt.job.clone(),
            stage_name: attempt.stage.clone(),
            attempt: attempt.number,
            offset: i64::try_from(self.offset).expect("a small log"),
            follow,
            ..Default::default()
        };
        let mut jobs = JobServiceClient::new(channel.clone());
        let mut stream = jobs.read_stage_log(request).await?.into_inner();
        while let Some(message) = stream.message().await? {
            use read_stage_log_response::Payload;
            match message.payload {
                Some(Payload::Chunk(chunk)) => {
                    let end = self.offset + chunk.data.len();
                    let is_next = usize::try_from(chunk.offset) == Ok(self.offset);
                    let wanted = written.get(self.offset..end).unwrap_or_default();
                    let differs = chunk.data.iter().zip(wanted).position(|(a, b)| a != b);
                    if !is_next || wanted.is_empty() || differs.is_some() {
                        let from = differs.unwrap_or_default();
                        let shown = &chunk.data[from..chunk.data.len().min(from + 80)];
                        world.fail(format!(
                            "log of {attempt}: {} bytes came for {} at {}, and those from {from} \
                             on are {:?}",
                            chunk.data.len(),
                            chunk.offset,
                            self.offset,
                            String::from_utf8_lossy(shown)
                        ));
                    }
                    self.offset = end;
                }
                Some(Payload::Gap(gap)) => {
                    if usize::try_from(gap.start_offset) != Ok(self.offset) {
                        world.fail(format!("log of {attempt}: {gap:?} at {}", self.offset));
                    }
                    self.offset = usize::try_from(gap.end_offset).expect("a small log");
                    self.gaps.push(gap);
                }
                Some(Payload::End(end)) => {
                    self.size = Some(end.size_bytes);
                    return Ok(());
                }
                Some(Payload::Heartbeat(_)) | None => {}
            }
        }
        Ok(())
    }

    /// Follows the log until its end, over all restarts.
    pub(crate) async fn follow(mut self, world: Arc<World>, channel: Channel, attempt: Attempt) {
        loop {
            world.until_up().await;
            match self.read(&world, &channel, &attempt, true).await {
                Ok(()) => return,
                Err(status) if is_unclear(&status) => {}
                // Bytes that were not synced, and that this reader has seen.
                Err(status) if status.code() == Code::OutOfRange && world.may_lose_log => return,
                Err(status) => return world.fail(format!("log of {attempt}: {status:?}")),
            }
        }
    }
}
