//! What a followed job looks like: bars, lines and logs for people, or one
//! JSON object a line for programs.

use std::collections::HashSet;

use tokio::task::JoinSet;

use super::Style;
use crate::{
    cli::{
        client::Client,
        json,
        lines::Prefixer,
        logs::{self, LogReader, Piece},
        out,
        remote::Format,
        screen::Screen,
        table,
        text::{self, Cleaner},
        view::{JobView, Progress},
        words,
    },
    wire::v1::{self, job_event::Change, stage_run::State, watch_job_response::Payload},
};

/// Shows a job's news as they come.
pub(super) struct Display {
    client: Client,
    job_id: String,
    screen: Screen,
    style: Style,
    /// Attempts whose logs are or were streamed.
    streamed: HashSet<(String, i32)>,
    logs: JoinSet<()>,
}

impl Display {
    /// Shows the job on the screen.
    pub(super) fn new(client: &Client, job_id: &str, screen: Screen, style: Style) -> Self {
        Self {
            client: client.clone(),
            job_id: job_id.to_owned(),
            screen,
            style,
            streamed: HashSet::new(),
            logs: JoinSet::new(),
        }
    }

    /// Shows what is new.
    pub(super) async fn show(&mut self, view: &JobView, progress: Progress) {
        let lines = match self.style.format {
            Format::Json => json_lines(view, progress),
            Format::Table if self.style.logs => Vec::new(),
            Format::Table => state_lines(view, progress),
        };
        self.print(&lines).await;
        if let (Format::Table, Some(job)) = (self.style.format, view.job()) {
            self.screen.update(job);
            self.stream_logs(job);
        }
    }

    /// Waits until nobody reads what is shown.
    pub(super) async fn closed(&self) {
        self.screen.closed().await;
    }

    /// Shows the rest of the logs and then the result.
    pub(super) async fn end(&mut self, job: &v1::Job) {
        if self.style.format == Format::Json {
            return;
        }
        // A job that was over before it was watched has logs all the same.
        self.stream_logs(job);
        while let Some(log) = self.logs.join_next().await {
            log.expect("log readers do not panic");
        }
        self.print(&[summary(job)]).await;
    }

    async fn print(&self, lines: &[String]) {
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        self.screen.print(text.into_bytes()).await;
    }

    /// Starts to stream the log of each attempt that has started.
    fn stream_logs(&mut self, job: &v1::Job) {
        let has_log =
            |run: &&v1::StageRun| run.start_time.is_some() && run.carried_from_job_id.is_empty();
        for run in job.stage_runs.iter().filter(has_log) {
            let attempt = (run.stage_name.clone(), run.attempt);
            if self.style.logs && self.streamed.insert(attempt) {
                let request = v1::ReadStageLogRequest {
                    job_id: self.job_id.clone(),
                    stage_name: run.stage_name.clone(),
                    attempt: run.attempt,
                    follow: true,
                    ..Default::default()
                };
                let reader = LogReader::new(self.client.clone(), request);
                let name = words::run_name(run);
                let log = stream_log(reader, name, self.screen.clone(), self.style.raw);
                self.logs.spawn(log);
            }
        }
    }
}

/// Prints a log as prefixed lines. A log that cannot be read is told of and
/// does not keep the others from being shown.
async fn stream_log(mut reader: LogReader, name: String, screen: Screen, raw: bool) {
    let mut cleaner = (out::is_terminal() && !raw).then(Cleaner::default);
    let mut prefixer = Prefixer::new(&name);
    loop {
        match reader.next().await {
            Ok(Some(Piece::Bytes(bytes))) => {
                let lines = match &mut cleaner {
                    Some(cleaner) => prefixer.push(cleaner.push(&bytes).as_bytes()),
                    None => prefixer.push(&bytes),
                };
                screen.print(lines).await;
            }
            Ok(Some(Piece::Gap(gap))) => out::notice(&format!("[{name}] {}", logs::describe(&gap))),
            Ok(None) => break,
            Err(failure) => {
                let message = failure.message().unwrap_or_default();
                out::notice(&format!("[{name}] the log cannot be read: {message}"));
                break;
            }
        }
    }
    screen.print(prefixer.finish()).await;
}

/// An event is a `JobEvent`; a snapshot is the `WatchJobResponse` that holds it.
fn json_lines(view: &JobView, progress: Progress) -> Vec<String> {
    match progress {
        Progress::Advanced(events) => events
            .iter()
            .map(|event| json::compact("JobEvent", event))
            .collect(),
        Progress::Replaced => {
            let snapshot = v1::JobSnapshot {
                job: view.job().cloned(),
                ..Default::default()
            };
            let message = v1::WatchJobResponse {
                payload: Some(Payload::Snapshot(snapshot)),
            };
            vec![json::compact("WatchJobResponse", &message)]
        }
        Progress::Idle | Progress::Gap => Vec::new(),
    }
}

/// What changed, in words, one line each.
fn state_lines(view: &JobView, progress: Progress) -> Vec<String> {
    match progress {
        Progress::Advanced(events) => events.iter().filter_map(event_line).collect(),
        Progress::Replaced => {
            let runs = view.job().map_or(&[][..], |job| &job.stage_runs);
            runs.iter().filter_map(run_line).collect()
        }
        Progress::Idle | Progress::Gap => Vec::new(),
    }
}

fn event_line(event: &v1::JobEvent) -> Option<String> {
    match event.change.as_ref()? {
        Change::StageRunChanged(changed) => run_line(changed.stage_run.as_ref()?),
        Change::JobChanged(changed) => {
            let job = changed.job.as_ref()?;
            Some(format!("job {}", words::job_state(job.state())))
        }
        Change::JobCreated(_) | Change::StageProgressed(_) | Change::JobEnded(_) => None,
    }
}

fn run_line(run: &v1::StageRun) -> Option<String> {
    if run.state() == State::Pending {
        return None;
    }
    let line = format!(
        "[{}] {}",
        words::run_name(run),
        words::run_state(run.state())
    );
    Some(match words::run_detail(run) {
        detail if detail.is_empty() => line,
        detail => format!("{line}: {detail}"),
    })
}

/// The states and times of all stages, and the job's own.
fn summary(job: &v1::Job) -> String {
    let state = words::job_state(job.state());
    let mut result = format!("job {} {state}", text::one_line(&job.id));
    let elapsed = words::elapsed(job.start_time, job.end_time);
    if !elapsed.is_empty() {
        result = format!("{result} in {elapsed}");
    }
    let detail = words::job_detail(job);
    if !detail.is_empty() {
        result = format!("{result}: {detail}");
    }
    format!("\n{}\n\n{result}", table::stage_runs(job))
}
