//! Calls of one method, and the cost of each to the service.

use std::{mem, time::Instant};

use prost::Message;

use crate::{
    clients::Ours,
    load::{self, Pace, Plan, Until},
    report::median,
    usage,
};

use super::Cost;

const ROUNDS: usize = 3;
/// Calls that are prepared at a time.
const BATCH: usize = 50_000;

pub(super) const CREATE: &str = "/pipewright.v1.PipelineService/CreatePipeline";
pub(super) const GET: &str = "/pipewright.v1.PipelineService/GetPipeline";
pub(super) const UPDATE: &str = "/pipewright.v1.PipelineService/UpdatePipeline";
pub(super) const DELETE: &str = "/pipewright.v1.PipelineService/DeletePipeline";
pub(super) const TRIGGER: &str = "/pipewright.v1.PipelineService/TriggerPipeline";
pub(super) const LIST: &str = "/pipewright.v1.PipelineService/ListPipelines";
pub(super) const GET_JOB: &str = "/pipewright.v1.JobService/GetJob";
pub(super) const LIST_JOBS: &str = "/pipewright.v1.JobService/ListJobs";

/// Makes each call once.
pub(super) fn all(ours: &Ours, path: &str, messages: impl Iterator<Item = impl Message>) {
    let mut batch = Vec::new();
    let send = |batch: &mut Vec<Vec<u8>>| {
        if !batch.is_empty() {
            load::run(&plan(ours, path, mem::take(batch)));
        }
    };
    for message in messages {
        batch.push(message.encode_to_vec());
        if batch.len() == BATCH {
            send(&mut batch);
        }
    }
    send(&mut batch);
}

/// Measures the cost of calls in several rounds; `messages` returns the calls of a round.
pub(super) fn cost<M: Message>(
    ours: &Ours,
    path: &str,
    mut messages: impl FnMut() -> Vec<M>,
) -> Cost {
    let rounds = (0..ROUNDS).map(|_| {
        let messages = messages().iter().map(Message::encode_to_vec).collect();
        let plan = plan(ours, path, messages);
        let used = usage::own(ours.server.id());
        let outcome = load::run(&plan);
        let cpu = usage::own(ours.server.id()) - used;
        Cost {
            cpu: cpu.as_secs_f64() * 1e6 / outcome.calls as f64,
            per_second: outcome.per_second(),
        }
    });
    medians(&rounds.collect::<Vec<_>>())
}

/// Measures the cost of an operation that consists of several calls, done `times` times.
pub(super) async fn cost_of(ours: &Ours, times: usize, mut act: impl AsyncFnMut()) -> Cost {
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let used = usage::own(ours.server.id());
        let began = Instant::now();
        act().await;
        let elapsed = began.elapsed();
        let cpu = usage::own(ours.server.id()) - used;
        rounds.push(Cost {
            cpu: cpu.as_secs_f64() * 1e6 / times as f64,
            per_second: times as f64 / elapsed.as_secs_f64(),
        });
    }
    medians(&rounds)
}

fn medians(rounds: &[Cost]) -> Cost {
    Cost {
        cpu: median(rounds.iter().map(|round| round.cpu)),
        per_second: median(rounds.iter().map(|round| round.per_second)),
    }
}

fn plan(ours: &Ours, path: &str, messages: Vec<Vec<u8>>) -> Plan {
    Plan {
        address: ours.server.address,
        path: path.to_owned(),
        authorization: None,
        connections: 4,
        pace: Pace::Closed {
            streams_per_connection: 16,
        },
        until: Until::Calls(messages.len() as u64),
        messages,
    }
}
