//! A load, made by a process of its own: what to do goes in as JSON, what came of it
//! comes out.

use std::{
    env, io,
    net::SocketAddr,
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use crate::generator;

pub(crate) const ARGUMENT: &str = "--load";

/// Calls of one method.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Plan {
    pub(crate) address: SocketAddr,
    /// As `/pipewright.v1.PipelineService/GetPipeline`.
    pub(crate) path: String,
    pub(crate) authorization: Option<String>,
    /// Encoded messages, sent in turn.
    pub(crate) messages: Vec<Vec<u8>>,
    pub(crate) connections: usize,
    pub(crate) pace: Pace,
    pub(crate) until: Until,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
pub(crate) enum Pace {
    /// The next call on a stream when the last is answered.
    Closed { streams_per_connection: usize },
    /// Calls at fixed times, whether or not the earlier ones are answered; a time is taken
    /// from when the call was due.
    Open { per_second: f64 },
}

#[derive(Clone, Copy, Serialize, Deserialize)]
pub(crate) enum Until {
    Elapsed(Duration),
    Calls(u64),
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Outcome {
    pub(crate) calls: u64,
    pub(crate) elapsed: Duration,
    /// Of the time of a call.
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
    /// What the load itself had of its processor.
    pub(crate) cpu: Duration,
}

impl Outcome {
    pub(crate) fn per_second(&self) -> f64 {
        self.calls as f64 / self.elapsed.as_secs_f64()
    }
}

/// A load that is being made.
pub(crate) struct Load(Child);

impl Load {
    pub(crate) fn start(plan: &Plan) -> Self {
        let mut command = Command::new(env::current_exe().unwrap());
        command.arg(ARGUMENT);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let input = process.stdin.take().unwrap();
        serde_json::to_writer(io::BufWriter::new(input), plan).unwrap();
        Self(process)
    }

    /// Waits for its end. A call that failed fails the bench.
    pub(crate) fn finish(self) -> Outcome {
        let output = self.0.wait_with_output().unwrap();
        assert!(output.status.success(), "the load failed");
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

pub(crate) fn run(plan: &Plan) -> Outcome {
    Load::start(plan).finish()
}

/// The process that makes it.
pub(crate) fn serve() {
    let plan: Plan = serde_json::from_reader(io::stdin().lock()).unwrap();
    let outcome = generator::make(&plan).unwrap();
    serde_json::to_writer(io::stdout().lock(), &outcome).unwrap();
}
