//! The terminal while a job is followed: lines of text, and bars below them.
//!
//! One thread does all of the writing. A blocked terminal or pipe blocks that thread
//! and, past a bound, the tasks that print; it never blocks the runtime, on which `run`
//! also has leases to renew.

use std::{io, io::IsTerminal, time::Duration};

use tokio::{
    sync::mpsc::{self, Receiver, Sender},
    task::JoinHandle,
};

use crate::{
    cli::{
        exit::Failure,
        present::{out, progress_bars::Bars},
    },
    proto::v1,
};

/// Delay of the bars: a job that ends earlier shows none.
const QUIET_FOR: Duration = Duration::from_millis(250);
/// Bound on messages that wait for the terminal; those of logs have up to 64 KiB.
const WAITING: usize = 32;

enum Message {
    Text(Vec<u8>),
    Job(Box<v1::Job>),
    ShowBars,
}

/// Prints; cheap to clone.
#[derive(Clone)]
pub(crate) struct Screen {
    messages: Sender<Message>,
}

/// The thread of a [`Screen`].
pub(crate) struct Writer(JoinHandle<Result<(), Failure>>);

impl Screen {
    /// Starts the thread. Bars are shown if both outputs are terminals.
    pub(crate) fn start() -> (Self, Writer) {
        let (messages, received) = mpsc::channel(WAITING);
        let writer = tokio::task::spawn_blocking(|| write(received));
        if out::is_terminal() && io::stderr().is_terminal() {
            tokio::spawn(show_bars(messages.downgrade()));
        }
        (Self { messages }, Writer(writer))
    }

    /// Prints whole lines that are safe for the output; drops them after a failed write.
    pub(crate) async fn print(&self, lines: Vec<u8>) {
        if !lines.is_empty() {
            let _ = self.messages.send(Message::Text(lines)).await;
        }
    }

    /// Waits until the output is closed, for example by `head`.
    pub(crate) async fn closed(&self) {
        self.messages.closed().await;
    }

    /// Updates the bars; skipped while the terminal lags behind, as the next update has the
    /// whole state.
    pub(crate) fn update(&self, job: &v1::Job) {
        let _ = self.messages.try_send(Message::Job(Box::new(job.clone())));
    }
}

impl Writer {
    /// Waits until everything is written and every [`Screen`] is dropped.
    pub(crate) async fn finish(self) -> Result<(), Failure> {
        self.0.await.expect("the writer does not panic")
    }
}

async fn show_bars(messages: mpsc::WeakSender<Message>) {
    tokio::time::sleep(QUIET_FOR).await;
    if let Some(messages) = messages.upgrade() {
        let _ = messages.send(Message::ShowBars).await;
    }
}

fn write(mut messages: Receiver<Message>) -> Result<(), Failure> {
    let mut bars = Bars::hidden();
    let mut written = Ok(());
    while let Some(message) = messages.blocking_recv() {
        match message {
            Message::Text(text) if written.is_ok() => {
                written = bars.suspend(|| out::print(&text));
                if is_closed(&written) {
                    break;
                }
            }
            // A full disk does not end the watch: the job's result is still wanted.
            Message::Text(_) => {}
            Message::Job(job) => bars.update(&job),
            Message::ShowBars => bars.show(),
        }
    }
    bars.clear();
    written
}

/// Whether the reader of the output is gone.
fn is_closed(written: &Result<(), Failure>) -> bool {
    matches!(written, Err(Failure::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe)
}
