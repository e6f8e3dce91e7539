//! An idle service: its watchers, and its start.

use std::time::{Duration, Instant};

use crate::{
    clients::{Ours, echo},
    crowds::memory,
    generator,
    load::{Pace, Plan, Until},
    mode::Mode,
    report::{Goal, Pair, Row},
    server::Server,
    watchers,
};

pub(crate) async fn memories(mode: Mode) -> Vec<Row> {
    let rounds = watchers::compare(mode.of(3, 1)).await;
    let pair = |(ours, baseline)| Pair { ours, baseline };
    vec![Row {
        what: format!(
            "memory per idle watcher, {} on {} connections",
            watchers::CONNECTIONS * watchers::EACH,
            watchers::CONNECTIONS
        ),
        baseline: "bare tonic stream".to_owned(),
        unit: "B",
        rounds: rounds.into_iter().map(pair).collect(),
        goal: Goal::AtMost {
            goal: 1.3,
            stretch: 1.0,
        },
        cpu: None,
        memory: None,
        note: None,
    }]
}

pub(crate) fn start(mode: Mode) -> Vec<Row> {
    let (mut times, mut memories) = (Vec::new(), Vec::new());
    for _ in 0..mode.of(11, 1) {
        let begin = Instant::now();
        let ours = Ours::open(&[]);
        let path = "/pipewright.v1.PipelineService/ListPipelines";
        let plan = ours.plan(path, vec![Vec::new()], mode);
        let (own, own_memory) = answered(&ours.server, &plan, begin);
        let begin = Instant::now();
        let bare = Server::bare();
        let (bare, bare_memory) = answered(&bare, &echo(&bare, &plan), begin);
        times.push(Pair::micros(own, bare));
        memories.push(Pair {
            ours: own_memory,
            baseline: bare_memory,
        });
    }
    vec![Row {
        what: "from start to the first answer, and the memory then".to_owned(),
        baseline: "bare stock tonic".to_owned(),
        unit: "µs",
        rounds: times,
        goal: Goal::None,
        cpu: None,
        memory: Some(Pair::medians(&memories)),
        note: None,
    }]
}

/// The time until a server responds to its first call, and its memory then, in KiB.
pub(crate) fn answered(server: &Server, plan: &Plan, begin: Instant) -> (Duration, f64) {
    let one_call = Plan {
        connections: 1,
        pace: Pace::Closed {
            streams_per_connection: 1,
        },
        until: Until::Calls(1),
        ..plan.clone()
    };
    generator::make(&one_call).unwrap();
    (begin.elapsed(), memory(server.id()) as f64)
}
