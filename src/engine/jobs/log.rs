use std::{ops::Range, sync::Arc};

use bytes::Bytes;
use tokio::sync::watch;

use crate::{
    blobs::logs::{GapReason, LogKey, LogRead},
    domain::{Job, JobId, LogSummary, StageRun},
    engine::{
        Call, Error,
        signals::{Follow, Watcher},
    },
};

use super::Jobs;

/// Most bytes of a log in one message: 64 KiB.
const CHUNK_BYTES: usize = 64 * 1024;

/// Which log to read, and from where.
#[derive(Clone, Debug)]
pub struct LogRequest {
    /// The job.
    pub job_id: JobId,
    /// The stage's name.
    pub stage_name: String,
    /// Attempt at the stage; the newest when none.
    pub attempt: Option<u32>,
    /// First byte wanted; a negative number counts from the end.
    pub offset: i64,
    /// Stop after this many bytes.
    pub limit: Option<u64>,
    /// Go on until the stage is over; else to the log's present end.
    pub follow: bool,
}

/// A reader of one stage run's log, at an offset of its own.
pub struct StageLog {
    jobs: Arc<Jobs>,
    /// As it was read last; one whose stage is over is not read again.
    job: Arc<Job>,
    /// Keep the job, and the one that has the bytes, from expiring.
    _follows: [Follow; 2],
    /// Tells when the stage may be over.
    changes: watch::Receiver<i64>,
    /// Tells when there is more; none once the log is complete.
    grown: Option<watch::Receiver<u64>>,
    /// Where the bytes are: of an earlier job, if the run was carried over.
    key: LogKey,
    attempt: u32,
    offset: u64,
    left: u64,
    /// Where a reader that does not follow stops.
    present_end: Option<u64>,
    _watcher: Watcher,
}

/// What comes next of a log.
#[derive(Debug, PartialEq, Eq)]
pub enum LogPiece {
    /// Bytes, from this offset on.
    Chunk(u64, Bytes),
    /// Bytes that are not kept, and why.
    Gap(Range<u64>, GapReason),
    /// The log is complete, and this is its size.
    End(u64),
    /// As many bytes were read as were asked for.
    LimitReached,
    /// There is no more for now.
    Nothing,
}

impl Jobs {
    /// Opens the log of a stage run.
    pub async fn open_log(
        self: &Arc<Self>,
        call: &Call,
        request: LogRequest,
    ) -> Result<StageLog, Error> {
        let follow = self.signals.follow(request.job_id);
        let changes = follow.changes();
        let job = self.for_call(call, request.job_id).await?;
        let run = find_run(&job, &request)?;
        let key = LogKey {
            job_id: run.carried_from.unwrap_or(job.id),
            run: run.key(),
        };
        let grown = (!run.state.is_terminal()).then(|| self.logs.subscribe(key));
        let size = self.log_size(run, key);
        Ok(StageLog {
            jobs: Arc::clone(self),
            _follows: [follow, self.signals.follow(key.job_id)],
            changes,
            grown,
            key,
            attempt: run.attempt,
            offset: start(request.offset, size)?,
            left: request.limit.unwrap_or(u64::MAX),
            present_end: (!request.follow).then_some(size),
            job,
            _watcher: self.signals.watcher(),
        })
    }

    fn log_size(&self, run: &StageRun, key: LogKey) -> u64 {
        if run.state.is_terminal() {
            run.log.size
        } else {
            self.logs.size(key)
        }
    }

    /// The log of a run as it is now.
    pub(super) fn log_summary(&self, run: &StageRun, key: LogKey) -> LogSummary {
        if run.state.is_terminal() {
            return run.log;
        }
        LogSummary {
            size: self.logs.size(key),
            loss: self.logs.loss(key),
        }
    }
}

impl StageLog {
    /// The attempt that the log is of.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// The byte after what was read.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Whether the reader waits for more.
    pub fn follows(&self) -> bool {
        self.present_end.is_none()
    }

    /// Reads on from the offset.
    pub async fn next(&mut self) -> Result<LogPiece, Error> {
        // Marked before the look: what changes after it ends the next wait.
        self.changes.mark_unchanged();
        if let Some(grown) = &mut self.grown {
            grown.mark_unchanged();
        }
        let run = self.run().await?;
        let size = self.jobs.log_size(&run, self.key);
        let end = self.present_end.unwrap_or(size).min(size);
        match run.state.is_terminal() {
            true if self.offset >= size => Ok(LogPiece::End(size)),
            _ if self.left == 0 => Ok(LogPiece::LimitReached),
            _ if self.offset < end => self.read(end).await,
            _ => Ok(LogPiece::Nothing),
        }
    }

    /// The run as it is now. Once it is over it stays as it is, and the reader does
    /// not depend on the job any more.
    async fn run(&mut self) -> Result<Arc<StageRun>, Error> {
        let known = |job: &Job| {
            let run = job.run(self.key.run).expect("a job keeps its runs");
            Arc::clone(run)
        };
        let run = known(&self.job);
        if run.state.is_terminal() {
            return Ok(run);
        }
        self.job = self.jobs.journal.job(self.job.id).await?;
        Ok(known(&self.job))
    }

    /// Waits until there may be more. May be dropped and called again at any time.
    pub async fn changed(&mut self) {
        let Some(grown) = &mut self.grown else {
            return;
        };
        tokio::select! {
            _ = self.changes.changed() => {}
            _ = grown.changed() => {}
        }
    }

    /// What there is before `end`. Only bytes count towards what was asked for.
    async fn read(&mut self, end: u64) -> Result<LogPiece, Error> {
        let limit = usize::try_from(self.left).unwrap_or(usize::MAX);
        let limit = limit.min(CHUNK_BYTES);
        let logs = &self.jobs.logs;
        let read = logs.read(self.key, self.offset, end, limit).await?;
        let start = self.offset;
        Ok(match read {
            LogRead::Bytes(data) => {
                self.offset += data.len() as u64;
                self.left -= data.len() as u64;
                LogPiece::Chunk(start, data)
            }
            LogRead::Gap { range, reason } => {
                self.offset = range.end;
                LogPiece::Gap(range, reason)
            }
            // The run says that there were bytes: they are not kept.
            LogRead::End => {
                self.offset = end;
                LogPiece::Gap(start..end, GapReason::Expired)
            }
        })
    }
}

fn find_run<'a>(job: &'a Job, request: &LogRequest) -> Result<&'a Arc<StageRun>, Error> {
    let found = job.find_run(&request.stage_name, request.attempt);
    found.ok_or_else(|| Error::StageNotFound {
        job: job.id.to_string(),
        what: match request.attempt {
            None => format!("stage '{}'", request.stage_name),
            Some(attempt) => format!("attempt {attempt} at a stage '{}'", request.stage_name),
        },
    })
}

fn start(offset: i64, size: u64) -> Result<u64, Error> {
    match u64::try_from(offset) {
        Ok(start) if start > size => Err(Error::OffsetPastEnd { offset, size }),
        Ok(start) => Ok(start),
        Err(_) => Ok(size.saturating_sub(offset.unsigned_abs())),
    }
}
