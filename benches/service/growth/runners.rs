//! Runners that wait for work that does not match them.

use std::time::Duration;

use pipewright::proto::v1;
use tokio::task::JoinSet;

use crate::{
    clients::Ours,
    crowds::{self, CROWD, stage},
    jobs::Client,
    mode::Mode,
    player::Player,
    usage,
};

use super::{
    Group,
    calls::{self, GET_JOB, TRIGGER},
};

/// Longer than the measurement takes.
const PATIENCE: Duration = Duration::from_secs(50);
/// Fewer than the service allows on a connection.
const PER_CONNECTION: usize = 100;

pub(super) async fn grow(sizes: &[usize], mode: Mode) -> Group {
    let mut group = Group::new("runners", "runners that wait for other work", sizes);
    for &size in sizes {
        let ours = Ours::open(&[]);
        let client = Client::of(ours.channel());
        let mut wanted = stage("s", "true");
        wanted.runner_labels = [("os".to_owned(), "plan9".to_owned())].into();
        let pipeline = client.create("first", vec![wanted]).await;
        let job = client.trigger(&pipeline).await;
        let idle = usage::memory(ours.server.id());
        let mut waiting = JoinSet::new();
        let mut channel = ours.channel();
        for number in 0..size {
            if number % PER_CONNECTION == 0 {
                channel = crowds::channel(CROWD, ours.server.address);
            }
            let player = Player::register(channel.clone(), 1).await;
            waiting.spawn(async move { player.acquire(PATIENCE).await.is_none() });
        }
        let memory = usage::memory(ours.server.id()) - idle;
        group.memory.push(memory as f64 / size as f64);
        let calls = mode.of(200, 50);
        let get = || {
            vec![
                v1::GetJobRequest {
                    job_id: job.clone()
                };
                calls
            ]
        };
        group.add("GetJob", calls::cost(&ours, GET_JOB, get));
        let trigger = v1::TriggerPipelineRequest {
            pipeline_id: pipeline,
            ..Default::default()
        };
        let new = || vec![trigger.clone(); calls];
        group.add("TriggerPipeline", calls::cost(&ours, TRIGGER, new));
        waiting.abort_all();
    }
    group
}
