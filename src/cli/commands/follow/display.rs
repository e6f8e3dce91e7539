//! Output of a followed job: bars, lines and logs for people, or one JSON object per line
//! for programs.

use std::collections::HashMap;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::Style;
use crate::{
    cli::{
        connect::{
            client::Client,
            log_reader::{GapNotices, LogReader},
        },
        present::{
            format::Format,
            json, labels,
            log_lines::Prefixer,
            out,
            screen::Screen,
            table,
            text::{self, Cleaner},
            view::{JobView, Progress},
        },
    },
    proto::v1::{
        self, job_event::Change, read_stage_log_response::Payload as Log, stage_run::State,
        watch_job_response::Payload,
    },
};

/// Shows the events of a job as they arrive.
pub(super) struct Display {
    client: Client,
    job_id: String,
    screen: Screen,
    style: Style,
    /// Attempts whose logs are streamed, each with a signal for the end of the log.
    streamed: HashMap<(String, i32), CancellationToken>,
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
            streamed: HashMap::new(),
            logs: JoinSet::new(),
        }
    }

    /// Shows an update.
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

    /// Waits until the reader of the output is gone.
    pub(super) async fn closed(&self) {
        self.screen.closed().await;
    }

    /// Shows the rest of the logs and then the result.
    pub(super) async fn end(&mut self, job: &v1::Job) {
        if self.style.format == Format::Json {
            return;
        }
        // A job that ended before the watch began has logs, too.
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

    /// Starts to stream the log of each attempt that has started. It is printed after the logs
    /// of attempts that had ended by then, whichever connection is faster.
    fn stream_logs(&mut self, job: &v1::Job) {
        let has_log =
            |run: &&v1::StageRun| run.start_time.is_some() && run.carried_from_job_id.is_empty();
        let mut runs: Vec<_> = job.stage_runs.iter().filter(has_log).collect();
        runs.sort_by_key(|run| run.start_time.map(|time| (time.seconds, time.nanos)));
        for run in runs {
            if !self.style.logs || self.streamed.contains_key(&attempt(run)) {
                continue;
            }
            let ended = CancellationToken::new();
            self.streamed.insert(attempt(run), ended.clone());
            let earlier = self.ended_before(run, job);
            let log = self.stream_log(run);
            self.logs.spawn(async move {
                let _tells_on_every_way_out = ended.drop_guard();
                for log in earlier {
                    log.cancelled().await;
                }
                log.await;
            });
        }
    }

    /// Signals for the ends of the logs of attempts that had ended when this one started.
    fn ended_before(&self, run: &v1::StageRun, job: &v1::Job) -> Vec<CancellationToken> {
        let time = |time: Option<prost_types::Timestamp>| time.map(|t| (t.seconds, t.nanos));
        let started = time(run.start_time);
        let was_over = |other: &&v1::StageRun| {
            let ended = time(other.end_time);
            ended.is_some() && ended <= started && attempt(other) != attempt(run)
        };
        let earlier = job.stage_runs.iter().filter(was_over);
        earlier
            .filter_map(|other| self.streamed.get(&attempt(other)).cloned())
            .collect()
    }

    fn stream_log(&self, run: &v1::StageRun) -> impl Future<Output = ()> + use<> {
        let request = v1::ReadStageLogRequest {
            job_id: self.job_id.clone(),
            stage_name: run.stage_name.clone(),
            attempt: run.attempt,
            follow: true,
            ..Default::default()
        };
        let reader = LogReader::new(self.client.clone(), request);
        stream_log(
            reader,
            text::line_prefix(&labels::run_name(run), out::width()),
            self.screen.clone(),
            self.style.raw,
        )
    }
}

fn attempt(run: &v1::StageRun) -> (String, i32) {
    (run.stage_name.clone(), run.attempt)
}

/// Prints a log as prefixed lines. A log that cannot be read is reported and does not keep
/// the others from being shown.
async fn stream_log(mut reader: LogReader, name: String, screen: Screen, raw: bool) {
    let mut cleaner = (out::is_terminal() && !raw).then(Cleaner::default);
    let mut prefixer = Prefixer::new(&name);
    let mut gaps = GapNotices::default();
    let tell = |notice: &String| out::notice(&format!("[{name}] {notice}"));
    loop {
        let message = match reader.next().await {
            Ok(Some(message)) => message,
            Ok(None) => break,
            Err(failure) => {
                let message = failure.message().unwrap_or_default();
                tell(&format!("the log cannot be read: {message}"));
                break;
            }
        };
        if let Some(Log::Chunk(_)) = message.payload {
            gaps.over().iter().for_each(tell);
        }
        match (message.payload, &mut cleaner) {
            (Some(Log::Chunk(chunk)), None) => screen.print(prefixer.push(&chunk.data)).await,
            (Some(Log::Chunk(chunk)), Some(cleaner)) => {
                let text = cleaner.push(&chunk.data);
                screen.print(prefixer.push(text.as_bytes())).await;
            }
            (Some(Log::Gap(gap)), _) => gaps.gap(&gap).iter().for_each(tell),
            (_, _) => {}
        }
    }
    gaps.over().iter().for_each(tell);
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

/// Describes the changes, one line each.
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
            Some(format!("job {}", labels::job_state(job.state())))
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
        labels::run_name(run),
        labels::run_state(run.state())
    );
    Some(match labels::run_detail(run) {
        detail if detail.is_empty() => line,
        detail => format!("{line}: {detail}"),
    })
}

/// The states and times of all stages, and the job's own.
fn summary(job: &v1::Job) -> String {
    let state = labels::job_state(job.state());
    let mut result = format!("job {} {state}", text::one_line(&job.id));
    let elapsed = labels::elapsed(job.start_time, job.end_time);
    if !elapsed.is_empty() {
        result = format!("{result} in {elapsed}");
    }
    let detail = labels::job_detail(job);
    if !detail.is_empty() {
        result = format!("{result}: {detail}");
    }
    format!("\n{}\n\n{result}", table::stage_runs(job))
}
