//! Watchers of one job, and the cost of an event that each of them receives.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use pipewright::proto::v1::{WatchJobResponse, watch_job_response::Payload};
use tokio::{sync::Notify, task::JoinSet};
use tonic::Streaming;

use crate::{
    clients::Ours,
    crowds::{self, idle_watchers, stage},
    mode::Mode,
    player::Player,
    usage,
};

use super::{Group, calls};

/// Most watchers of a connection.
const PER_CONNECTION: usize = 100;

pub(super) async fn grow(sizes: &[usize], mode: Mode) -> Group {
    let mut group = Group::new("watchers", "watchers of one job", sizes);
    for &size in sizes {
        let ours = Ours::open(&[]);
        let job = crowds::job(&ours.channel(), vec![stage("s", "true")]).await;
        let player = Player::register(ours.channel(), 1).await;
        let lease = player.acquire(Duration::ZERO).await.expect("the stage");
        player.progress(&lease, 0).await;
        let idle = usage::memory(ours.server.id());
        let connections = size.div_ceil(PER_CONNECTION);
        let each = size / connections;
        let streams = idle_watchers(ours.server.address, &job, connections, each).await;
        let memory = usage::memory(ours.server.id()) - idle;
        group.memory.push(memory as f64 / size as f64);
        let watchers = Watchers::follow(streams);
        let events = mode.of(20, 5);
        let mut percent = 0;
        let cost = calls::cost_of(&ours, events * size, async || {
            for _ in 0..events {
                percent += 1;
                watchers.expect(size);
                player.progress(&lease, percent).await;
                watchers.have_all().await;
            }
        });
        group.add("an event delivered, one at a time", cost.await);
    }
    group
}

/// Clients that read and count messages.
struct Watchers {
    missing: Arc<AtomicUsize>,
    complete: Arc<Notify>,
    _reading: JoinSet<()>,
}

impl Watchers {
    fn follow(streams: Vec<Streaming<WatchJobResponse>>) -> Self {
        let (missing, complete) = (Arc::<AtomicUsize>::default(), Arc::<Notify>::default());
        let mut reading = JoinSet::new();
        for mut stream in streams {
            let (missing, complete) = (Arc::clone(&missing), Arc::clone(&complete));
            reading.spawn(async move {
                while let Some(message) = stream.message().await.unwrap() {
                    let Some(Payload::Events(batch)) = message.payload else {
                        continue;
                    };
                    let events = batch.events.len();
                    if missing.fetch_sub(events, Ordering::Relaxed) == events {
                        complete.notify_one();
                    }
                }
            });
        }
        Self {
            missing,
            complete,
            _reading: reading,
        }
    }

    fn expect(&self, events: usize) {
        self.missing.store(events, Ordering::Relaxed);
    }

    async fn have_all(&self) {
        self.complete.notified().await;
    }
}
