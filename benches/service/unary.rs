//! Unary calls, compared with an echo of bare tonic.

use pipewright::proto::v1;
use prost::Message;

use crate::{
    clients::{self, Ours, echo, pipeline},
    h2load,
    load::{self, NUMBER, Outcome, Plan},
    mode::Mode,
    report::{Goal, Pair, Row},
    server::Server,
};

const AT_LEAST_AS_FAST: Goal = Goal::AtLeast {
    goal: 1.0,
    stretch: 1.4,
};
const NEARLY_AS_FAST: Goal = Goal::AtLeast {
    goal: 0.95,
    stretch: 1.2,
};
const MORE_THAN_HALF_AS_FAST: Goal = Goal::AtLeast {
    goal: 0.6,
    stretch: 0.9,
};

pub(crate) async fn get(mode: Mode) -> Vec<Row> {
    let mut rows = Vec::new();
    for (ours, what) in [
        (Ours::guarded(&[]), "GetPipeline, all layers on, by token"),
        (Ours::open(&[]), "GetPipeline, without credentials"),
    ] {
        let plan = clients::get(&ours, mode).await;
        rows.push(beside_echo(what, &ours, &plan, AT_LEAST_AS_FAST, mode));
    }
    rows
}

pub(crate) fn create(mode: Mode) -> Vec<Row> {
    let ours = Ours::guarded(&[]);
    let request = v1::CreatePipelineRequest {
        pipeline: Some(pipeline(NUMBER)),
        ..Default::default()
    };
    let path = "/pipewright.v1.PipelineService/CreatePipeline";
    let plan = ours.plan(path, vec![request.encode_to_vec()], mode);
    let what = "CreatePipeline, by token";
    vec![beside_echo(what, &ours, &plan, NEARLY_AS_FAST, mode)]
}

pub(crate) async fn update(mode: Mode) -> Vec<Row> {
    const PIPELINES: usize = 500;
    let ours = Ours::guarded(&[]);
    let mut ids = Vec::new();
    for number in 0..PIPELINES {
        let pipeline = pipeline(&format!("service-{number}"));
        ids.push(ours.create(pipeline).await.id);
    }
    // The refs alternate, so that every update changes the pipeline.
    let messages = ["stable", "next"].iter().flat_map(|git_ref| {
        ids.iter().map(|id| {
            let request = v1::UpdatePipelineRequest {
                pipeline: Some(v1::Pipeline {
                    id: id.clone(),
                    default_ref: (*git_ref).to_owned(),
                    ..Default::default()
                }),
                update_mask: Some(prost_types::FieldMask {
                    paths: vec!["default_ref".to_owned()],
                }),
                ..Default::default()
            };
            request.encode_to_vec()
        })
    });
    let path = "/pipewright.v1.PipelineService/UpdatePipeline";
    let plan = ours.plan(path, messages.collect(), mode);
    let what = "UpdatePipeline, one field of each of 500, by token";
    vec![beside_echo(what, &ours, &plan, NEARLY_AS_FAST, mode)]
}

pub(crate) async fn trigger(mode: Mode) -> Vec<Row> {
    let ours = Ours::guarded(&clients::ANY_NUMBER_OF_JOBS);
    let created = ours.create(pipeline("service")).await;
    let plan = ours.plan(clients::TRIGGER, vec![clients::trigger(&created)], mode);
    let what = "TriggerPipeline, the job queued, by token";
    vec![beside_echo(
        what,
        &ours,
        &plan,
        MORE_THAN_HALF_AS_FAST,
        mode,
    )]
}

/// Calls per second, in alternating rounds with the echo.
fn beside_echo(what: &str, ours: &Ours, plan: &Plan, goal: Goal, mode: Mode) -> Row {
    let bare = Server::bare();
    let echoes = echo(&bare, plan);
    let by_h2load = mode.h2load && h2load::can(plan);
    let (mut rounds, mut cpu, mut shares) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..mode.rounds() {
        let own = Round::of(&ours.server, plan, by_h2load);
        let bare = Round::of(&bare, &echoes, by_h2load);
        rounds.push(Pair {
            ours: own.per_second,
            baseline: bare.per_second,
        });
        cpu.push(Pair {
            ours: own.cpu,
            baseline: bare.cpu,
        });
        shares.push(Pair {
            ours: own.cpu * own.per_second / 1e4,
            baseline: bare.cpu * bare.per_second / 1e4,
        });
    }
    let shares = Pair::medians(&shares);
    Row {
        what: what.to_owned(),
        baseline: "bare stock tonic echo".to_owned(),
        unit: "calls/s",
        rounds,
        goal,
        cpu: Some(Pair::medians(&cpu)),
        memory: None,
        // If it is far below 100 %, the server was not the bottleneck.
        note: Some(format!(
            "server busy {:.0} % / {:.0} %{}",
            shares.ours,
            shares.baseline,
            if by_h2load { ", by h2load" } else { "" }
        )),
    }
}

struct Round {
    per_second: f64,
    /// Processor time of the server per call, in µs.
    cpu: f64,
}

impl Round {
    fn of(server: &Server, plan: &Plan, by_h2load: bool) -> Self {
        if by_h2load {
            let before = server.cpu();
            let (calls, per_second) = h2load::run(plan);
            let cpu = (server.cpu() - before).as_secs_f64() * 1e6 / calls;
            return Self { per_second, cpu };
        }
        let (outcome, cpu) = measured(server, plan);
        let per_second = outcome.per_second();
        Self { per_second, cpu }
    }
}

/// The result of a load, and the server's processor time per call in µs.
pub(crate) fn measured(server: &Server, plan: &Plan) -> (Outcome, f64) {
    let before = server.cpu();
    let outcome = load::run(plan);
    let spent = (server.cpu() - before).as_secs_f64();
    (outcome, spent * 1e6 / outcome.calls as f64)
}
