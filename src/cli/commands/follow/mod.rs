//! Follows a job to its end, for `run`, `job watch` and `--watch`.

mod display;
mod waits;

use std::time::Duration;

use clap::Args;
use tokio::time::sleep_until;

use crate::{
    cli::{
        connect::{client::Client, watch::Watch},
        exit::{Exit, Failure},
        interrupt::Interrupts,
        present::{
            format::Format,
            out,
            screen::{Screen, Writer},
            text,
            view::JobView,
        },
    },
    proto::v1::{self, job::State},
};
use display::Display;
use waits::Waits;

/// Longest wait for a blocked terminal when the user wants to leave.
const LEAVE_WITHIN: Duration = Duration::from_secs(1);

/// What Ctrl-C does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnInterrupt {
    /// The job continues without a watcher.
    Leave,
    /// The first one cancels the job and waits for its end; the second one leaves.
    Cancel,
}

/// How a job is followed.
#[derive(Clone, Copy)]
pub(crate) struct Style {
    /// Lines for people or for programs.
    pub(crate) format: Format,
    /// Show the stages' output; people only.
    pub(crate) logs: bool,
    /// Leave control sequences in the output.
    pub(crate) raw: bool,
    /// What Ctrl-C does.
    pub(crate) on_interrupt: OnInterrupt,
}

/// Whether the job that a command starts is followed.
#[derive(Args, Debug)]
pub(crate) struct WatchArgs {
    /// Follow the job and its output until it ends; its result is the exit code
    #[arg(long)]
    watch: bool,
    /// Do not remove control sequences, such as colors, from output that goes to a terminal;
    /// other output always has them
    #[arg(long, requires = "watch")]
    raw: bool,
}

impl WatchArgs {
    /// How to follow the job, if at all.
    pub(crate) fn style(&self, format: Format) -> Option<Style> {
        let style = Style {
            format,
            logs: true,
            raw: self.raw,
            on_interrupt: OnInterrupt::Leave,
        };
        self.watch.then_some(style)
    }
}

/// Follows a job that has just been started, from its first event.
pub(crate) async fn from_start(
    client: &Client,
    job_id: &str,
    style: Style,
) -> Result<Exit, Failure> {
    let interrupts = Interrupts::listen()?;
    follow(client, job_id, JobView::after(0), style, interrupts).await
}

/// Follows the job from the state of the view to its end; its result is the exit code.
pub(crate) async fn follow(
    client: &Client,
    job_id: &str,
    view: JobView,
    style: Style,
    interrupts: Interrupts,
) -> Result<Exit, Failure> {
    let (screen, writer) = Screen::start();
    let mut following = Following {
        client,
        job_id,
        watch: Watch::new(client.clone(), job_id.to_owned(), view),
        display: Display::new(client, job_id, screen, style),
        waits: Waits::new(style.format),
        interrupts,
        on_interrupt: style.on_interrupt,
    };
    let exit = following.run().await;
    drop(following);
    finish(writer, exit?, style.on_interrupt).await
}

struct Following<'a> {
    client: &'a Client,
    job_id: &'a str,
    watch: Watch,
    display: Display,
    waits: Waits,
    interrupts: Interrupts,
    on_interrupt: OnInterrupt,
}

impl Following<'_> {
    async fn run(&mut self) -> Result<Exit, Failure> {
        let is_cancelled = match self.watch_or_interrupt().await? {
            Ended::ByItself => false,
            Ended::Interrupted if self.on_interrupt == OnInterrupt::Leave => {
                out::notice(&format!(
                    "job {0} continues; `pipewright job watch {0}` follows it again",
                    text::one_line(self.job_id)
                ));
                return Ok(Exit::Interrupted);
            }
            Ended::Interrupted => match self.cancel_or_interrupt().await? {
                Ended::ByItself => true,
                Ended::Interrupted => return Ok(Exit::Interrupted),
            },
        };
        let Some(job) = self.watch.view().ended() else {
            return Ok(Exit::Interrupted);
        };
        tokio::select! {
            () = self.display.end(job) => {}
            () = self.interrupts.next() => return Ok(Exit::Interrupted),
        }
        Ok(exit_of(job.state(), is_cancelled))
    }

    /// Shows updates until the job has ended or the user leaves. Closing the output also
    /// leaves, but cancels nothing.
    async fn watch_or_interrupt(&mut self) -> Result<Ended, Failure> {
        loop {
            tokio::select! {
                news = self.watch.next() => match news? {
                    Some(progress) => {
                        self.waits.moved();
                        self.display.show(self.watch.view(), progress).await;
                    }
                    None => return Ok(Ended::ByItself),
                },
                () = sleep_until(self.waits.due()), if self.waits.stands_still(self.watch.view()) => {
                    self.waits.tell(self.client, self.job_id).await;
                }
                () = self.interrupts.next() => return Ok(Ended::Interrupted),
                () = self.display.closed(), if self.on_interrupt == OnInterrupt::Leave => {
                    return Ok(Ended::Interrupted);
                }
            }
        }
    }

    async fn cancel_or_interrupt(&mut self) -> Result<Ended, Failure> {
        out::notice("cancelling the job; press Ctrl-C again to kill it immediately");
        tokio::select! {
            cancelled = cancel(self.client, self.job_id, "interrupted") => {
                // The end of the job shows the outcome.
                if let Err(Some(message)) = cancelled.map_err(|failure| failure.message()) {
                    out::notice(&message);
                }
            }
            () = self.interrupts.next() => return Ok(Ended::Interrupted),
        }
        self.watch_or_interrupt().await
    }
}

enum Ended {
    ByItself,
    Interrupted,
}

/// Waits until everything is printed, but only briefly if the user wants to leave.
async fn finish(writer: Writer, exit: Exit, on_interrupt: OnInterrupt) -> Result<Exit, Failure> {
    let written = match exit {
        Exit::Interrupted => tokio::time::timeout(LEAVE_WITHIN, writer.finish()).await,
        _ => Ok(writer.finish().await),
    };
    // The job's result counts, also if its output cannot be written.
    let is_result = match exit {
        Exit::Ok => false,
        // Closing the output also leaves.
        Exit::Interrupted => on_interrupt == OnInterrupt::Cancel,
        _ => true,
    };
    match written {
        // A reader that stops reading, such as `head`, is no failure.
        Ok(Err(failure)) if failure.exit() != Exit::Ok => {
            if !is_result {
                return Err(failure);
            }
            failure.message().iter().for_each(|text| out::notice(text));
            Ok(exit)
        }
        _ => Ok(exit),
    }
}

/// Requests the cancellation of a job.
pub(crate) async fn cancel(
    client: &Client,
    job_id: &str,
    reason: &str,
) -> Result<v1::Job, Failure> {
    let request = v1::CancelJobRequest {
        job_id: job_id.to_owned(),
        reason: reason.to_owned(),
    };
    let send = |mut client: Client, request| async move { client.jobs.cancel_job(request).await };
    let response = client.call(request, send).await?;
    Ok(response.job.unwrap_or_default())
}

fn exit_of(state: State, is_cancelled_here: bool) -> Exit {
    match state {
        State::Succeeded => Exit::Ok,
        State::Cancelled if is_cancelled_here => Exit::Interrupted,
        State::Cancelled => Exit::CancelledByOther,
        _ => Exit::JobFailed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_result_of_the_job_is_the_exit_code() {
        let codes = [State::Succeeded, State::Failed, State::Cancelled]
            .map(|state| (exit_of(state, false) as u8, exit_of(state, true) as u8));
        assert_eq!(codes, [(0, 0), (1, 1), (9, 130)]);
    }
}
