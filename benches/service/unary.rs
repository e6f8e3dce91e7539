//! Calls with one answer, beside an echo of tonic as it comes.

use prost::Message;

use pipewright::wire::v1;

use crate::{
    clients::{Ours, bare, echo, pipeline},
    load::{self, Outcome, Plan},
    mode::Mode,
    report::{Goal, Pair, Row},
    server::Server,
};

pub(crate) async fn get(mode: Mode) -> Vec<Row> {
    let mut rows = Vec::new();
    for (ours, what) in [
        (Ours::guarded(&[]), "GetPipeline, all layers on, by token"),
        (Ours::open(&[]), "GetPipeline, without credentials"),
    ] {
        let created = ours.create(pipeline("service")).await;
        let request = v1::GetPipelineRequest {
            pipeline_id: created.id,
            revision: 0,
        };
        let path = "/pipewright.v1.PipelineService/GetPipeline";
        let plan = ours.plan(path, vec![request.encode_to_vec()], mode);
        let goal = Goal::AtLeast {
            goal: 1.0,
            stretch: 1.4,
        };
        rows.push(beside_echo(what, &ours.server, &plan, goal, mode));
    }
    rows
}

/// Calls a second, in turns with the echo.
fn beside_echo(what: &str, server: &Server, plan: &Plan, goal: Goal, mode: Mode) -> Row {
    let bare = bare();
    let echoes = echo(&bare, plan);
    let (mut rounds, mut cpu, mut shares) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..mode.rounds() {
        let (ours, spent) = measured(server, plan);
        let (baseline, bare_spent) = measured(&bare, &echoes);
        rounds.push(Pair {
            ours: ours.per_second(),
            baseline: baseline.per_second(),
        });
        cpu.push(Pair {
            ours: spent / ours.calls as f64 * 1e6,
            baseline: bare_spent / baseline.calls as f64 * 1e6,
        });
        shares.push((
            spent / ours.elapsed.as_secs_f64(),
            bare_spent / baseline.elapsed.as_secs_f64(),
        ));
        eprintln!("{ours:?} {baseline:?} {shares:?}");
    }
    Row {
        what: what.to_owned(),
        baseline: "bare stock tonic echo".to_owned(),
        unit: "calls/s",
        rounds,
        goal,
        cpu: Some(Pair::medians(&cpu)),
        memory: None,
        note: None,
    }
}

/// What came of a load, and the seconds of processor time that its server spent on it.
fn measured(server: &Server, plan: &Plan) -> (Outcome, f64) {
    let before = server.cpu();
    let outcome = load::run(plan);
    (outcome, (server.cpu() - before).as_secs_f64())
}
