//! A load, made by a process of its own: what to do goes in as JSON, what came of it
//! comes out.

use std::{
    env, io,
    net::SocketAddr,
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{audience, generator};

pub(crate) const ARGUMENT: &str = "--load";
/// In a message, it becomes a number that no other call has.
pub(crate) const NUMBER: &str = "################";

/// What the process is to do.
#[derive(Serialize, Deserialize)]
enum Task {
    Calls(Plan),
    Show(Show),
}

/// Events that are published, and a crowd that watches them.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Show {
    pub(crate) address: SocketAddr,
    /// Of the server, to see what it has of the processors.
    pub(crate) process: u32,
    pub(crate) watch: (String, Vec<u8>),
    pub(crate) connections: usize,
    pub(crate) watchers_per_connection: usize,
    /// The method that publishes, and each message with the number of events in it.
    pub(crate) publish: String,
    pub(crate) messages: Vec<(Vec<u8>, u64)>,
    /// From one message to the next; as fast as they are taken where there is none.
    pub(crate) pace: Option<Duration>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Shown {
    /// Events that watchers got, each counted for each of them.
    pub(crate) delivered: u64,
    pub(crate) elapsed: Duration,
    /// From a message until its last watcher had its events, the median.
    pub(crate) until_last: Duration,
    /// Of the server.
    pub(crate) cpu: Duration,
}

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

impl Plan {
    /// Where in a message its number goes.
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

/// A load that is being made.
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
        self.told()
    }

    /// Waits for its end. A call that failed fails the bench.
    fn told<T: DeserializeOwned>(self) -> T {
        let output = self.0.wait_with_output().unwrap();
        assert!(output.status.success(), "the load failed");
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

pub(crate) fn run(plan: &Plan) -> Outcome {
    Load::start(plan).finish()
}

pub(crate) fn show(show: &Show) -> Shown {
    Load::of(&Task::Show(show.clone())).told()
}

/// The process that makes it.
pub(crate) fn serve() {
    let output = io::stdout().lock();
    match serde_json::from_reader(io::stdin().lock()).unwrap() {
        Task::Calls(plan) => serde_json::to_writer(output, &generator::make(&plan).unwrap()),
        Task::Show(show) => serde_json::to_writer(output, &audience::watch(&show).unwrap()),
    }
    .unwrap();
}
