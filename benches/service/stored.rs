//! The cost of a service with much stored data: its lists, and its memory.

use pipewright::proto::v1;
use prost::Message;

use crate::{
    clients::{self, ANY_NUMBER_OF_JOBS, Ours, TRIGGER, pipeline},
    crowds::{memory, stage},
    load::{self, NUMBER, Pace, Plan, Until},
    mode::Mode,
    report::{Goal, Pair, Row},
    unary::measured,
};

const FEW: u64 = 1_000;

pub(crate) async fn rows(mode: Mode) -> Vec<Row> {
    let many = mode.of(1_000_000, 5_000);
    let (few, much) = (Ours::open(&[]), Ours::open(&[]));
    for (ours, number) in [(&few, FEW), (&much, many)] {
        let request = v1::CreatePipelineRequest {
            pipeline: Some(pipeline(NUMBER)),
            ..Default::default()
        };
        let path = "/pipewright.v1.PipelineService/CreatePipeline";
        fill(ours, path, vec![request.encode_to_vec()], number, mode);
    }
    let request = v1::ListPipelinesRequest {
        page_size: 50,
        ..Default::default()
    };
    let pipelines = list(
        "ListPipelines",
        &request.encode_to_vec(),
        [&much, &few],
        many,
        mode,
    );
    drop((few, much));

    let (few, much) = (
        Ours::open(&ANY_NUMBER_OF_JOBS),
        Ours::open(&ANY_NUMBER_OF_JOBS),
    );
    queue(&few, FEW, mode).await;
    let memory = queue(&much, many, mode).await;
    let request = v1::ListJobsRequest {
        page_size: 50,
        ..Default::default()
    };
    let jobs = list(
        "ListJobs",
        &request.encode_to_vec(),
        [&much, &few],
        many,
        mode,
    );
    vec![pipelines, jobs, memory]
}

fn list(method: &str, request: &[u8], [much, few]: [&Ours; 2], many: u64, mode: Mode) -> Row {
    let service = match method {
        "ListJobs" => "JobService",
        _ => "PipelineService",
    };
    let path = format!("/pipewright.v1.{service}/{method}");
    let alone = |ours: &Ours| Plan {
        connections: 1,
        pace: Pace::Closed {
            streams_per_connection: 1,
        },
        ..ours.plan(&path, vec![request.to_owned()], mode)
    };
    let (mut rounds, mut cpu) = (Vec::new(), Vec::new());
    for _ in 0..mode.rounds() {
        let (with_much, much_cpu) = measured(&much.server, &alone(much));
        let (with_few, few_cpu) = measured(&few.server, &alone(few));
        rounds.push(Pair::micros(with_much.p50, with_few.p50));
        cpu.push(Pair {
            ours: much_cpu,
            baseline: few_cpu,
        });
    }
    Row {
        what: format!("{method} of 50 at {many} stored, p50 at concurrency 1"),
        baseline: format!("itself at {FEW} stored"),
        unit: "µs",
        rounds,
        goal: Goal::AtMost {
            goal: 2.0,
            stretch: 1.2,
        },
        cpu: Some(Pair::medians(&cpu)),
        memory: None,
        note: None,
    }
}

/// Queues jobs of one stage, of 100 pipelines, and measures their memory.
async fn queue(ours: &Ours, jobs: u64, mode: Mode) -> Row {
    let mut messages = Vec::new();
    for number in 0..100 {
        let mut one_stage = pipeline(&format!("service-{number}"));
        one_stage.stages = vec![stage("build", "cargo build --release --locked")];
        messages.push(clients::trigger(&ours.create(one_stage).await));
    }
    let before = memory(ours.server.id());
    fill(ours, TRIGGER, messages, jobs, mode);
    let after = memory(ours.server.id());
    Row {
        what: format!("memory per queued job, {jobs} queued"),
        baseline: "–".to_owned(),
        unit: "B",
        rounds: vec![Pair::alone((after - before) as f64 * 1024.0 / jobs as f64)],
        goal: Goal::AtMost {
            goal: 1024.0,
            stretch: 512.0,
        },
        cpu: None,
        memory: Some(Pair::alone(after as f64)),
        note: None,
    }
}

fn fill(ours: &Ours, path: &str, messages: Vec<Vec<u8>>, calls: u64, mode: Mode) {
    load::run(&Plan {
        until: Until::Calls(calls),
        ..ours.plan(path, messages, mode)
    });
}
