//! The latency of a call: alone, and at 20,000 calls per second.

use crate::{
    clients::{self, Ours, echo},
    load::{Pace, Plan},
    mode::Mode,
    report::{Goal, Pair, Row},
    server::Server,
    unary::measured,
};

const PER_SECOND: f64 = 20_000.0;

pub(crate) async fn rows(mode: Mode) -> Vec<Row> {
    let ours = Ours::guarded(&[]);
    let plan = clients::get(&ours, mode).await;
    let alone = Plan {
        connections: 1,
        pace: Pace::Closed {
            streams_per_connection: 1,
        },
        ..plan.clone()
    };
    let among = Plan {
        pace: Pace::Open {
            per_second: PER_SECOND,
        },
        ..plan
    };
    let mut rows = Vec::new();
    for (plan, how) in [(alone, "at concurrency 1"), (among, "at 20,000 calls/s")] {
        rows.extend(beside_echo(&ours, &plan, how, mode));
    }
    rows
}

fn beside_echo(ours: &Ours, plan: &Plan, how: &str, mode: Mode) -> [Row; 2] {
    let bare = Server::bare();
    let echoes = echo(&bare, plan);
    let (mut p50, mut p99, mut cpu) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..mode.rounds() {
        let (own, own_cpu) = measured(&ours.server, plan);
        let (echo, echo_cpu) = measured(&bare, &echoes);
        p50.push(Pair::micros(own.p50, echo.p50));
        p99.push(Pair::micros(own.p99, echo.p99));
        cpu.push(Pair {
            ours: own_cpu,
            baseline: echo_cpu,
        });
    }
    let cpu = Pair::medians(&cpu);
    let goal = Goal::AtMost {
        goal: 1.2,
        stretch: 0.8,
    };
    [("p50", p50, Goal::None), ("p99", p99, goal)].map(|(what, rounds, goal)| Row {
        what: format!("GetPipeline {how}, {what}"),
        baseline: "bare stock tonic echo".to_owned(),
        unit: "µs",
        rounds,
        goal,
        cpu: Some(cpu),
        memory: None,
        note: None,
    })
}
