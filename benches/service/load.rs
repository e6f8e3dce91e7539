//! A load generator in a separate process. It reads its task as JSON and writes the result as
//! JSON.

use std::{
    env, io,
    net::SocketAddr,
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{audience, generator};

pub(crate) const ARGUMENT: &str = "--load";
/// A placeholder in a message, which is replaced by a number that is unique for each call.
pub(crate) const NUMBER: &str = "################";

/// The task of the process.
#[derive(Serialize, Deserialize)]
enum Task {
    Calls(Plan),
    Show(Show),
}

/// Events that are published, and a crowd that watches them.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Show {
    pub(crate) address: SocketAddr,
    /// The server's process id, to read its processor time.
    pub(crate) process: u32,
    pub(crate) watch: (String, Vec<u8>),
    pub(crate) connections: usize,
    pub(crate) watchers_per_connection: usize,
    /// The method that publishes, and each message with the number of events in it.
    pub(crate) publish: String,
    pub(crate) messages: Vec<(Vec<u8>, u64)>,
    /// Time between two messages; if none, messages are sent as fast as they are accepted.
    pub(crate) pace: Option<Duration>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Shown {
    /// Events that watchers received, counted once per watcher.
    pub(crate) delivered: u64,
    pub(crate) elapsed: Duration,
    /// The median time from a message until the last watcher has received its events.
    pub(crate) until_last: Duration,
    /// Processor time of the server.
    pub(crate) cpu: Duration,
}

/// Calls of one method.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Plan {
    pub(crate) address: SocketAddr,
    /// Such as `/pipewright.v1.PipelineService/GetPipeline`.
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
    /// Closed loop: a stream's next call begins when the previous one has ended.
    Closed { streams_per_connection: usize },
    /// Open loop: calls begin at fixed times, whether or not earlier ones have ended. The
    /// latency is measured from when a call was due.
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
    /// Percentiles of the latency.
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
    /// The load generator's share of its processor.
    pub(crate) cpu: Duration,
}

impl Plan {
    /// The offset of the number's placeholder in a message.
    pub(crate) fn number_at(message: &[u8]) -> Option<usize> {
        let mut windows = message.windows(NUMBER.len());
        windows.position(|window| window == NUMBER.as_bytes())
    }
}

impl Outcome {
    pub(crate) fn per_second(&self) -> f64 {
        self.calls as f64 / self.elapsed.as_secs_f64()
    }
}

/// A running load generator.
pub(crate) struct Load(Child);

impl Load {
    pub(crate) fn start(plan: &Plan) -> Self {
        Self::of(&Task::Calls(plan.clone()))
    }

    fn of(task: &Task) -> Self {
        let mut command = Command::new(env::current_exe().unwrap());
        command.arg(ARGUMENT);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let input = process.stdin.take().unwrap();
        serde_json::to_writer(io::BufWriter::new(input), task).unwrap();
        Self(process)
    }

    pub(crate) fn finish(self) -> Outcome {
        self.result()
    }

    /// Waits for the result. A failed call fails the bench.
    fn result<T: DeserializeOwned>(self) -> T {
        let output = self.0.wait_with_output().unwrap();
        assert!(output.status.success(), "the load failed");
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

pub(crate) fn run(plan: &Plan) -> Outcome {
    Load::start(plan).finish()
}

pub(crate) fn show(show: &Show) -> Shown {
    Load::of(&Task::Show(show.clone())).result()
}

/// The main function of the load generator's process.
pub(crate) fn serve() {
    let output = io::stdout().lock();
    match serde_json::from_reader(io::stdin().lock()).unwrap() {
        Task::Calls(plan) => serde_json::to_writer(output, &generator::make(&plan).unwrap()),
        Task::Show(show) => serde_json::to_writer(output, &audience::watch(&show).unwrap()),
    }
    .unwrap();
}
