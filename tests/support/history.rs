//! Checks the observations of watchers and runners against the invariants. It knows
//! nothing of the service but these invariants.

use std::{collections::BTreeMap, time::Duration};

/// An observation; they are recorded in the order in which they happened.
#[derive(Clone, Debug)]
pub(crate) enum Seen {
    /// A watcher got an event of a job.
    Event {
        watcher: u32,
        job: u32,
        sequence: i64,
        /// A text that is equal for all watchers of the same event.
        what: String,
        is_terminal: bool,
    },
    /// A watch of a job ended without an error.
    WatchEnded { watcher: u32, job: u32 },
    /// A runner got a stage under a token, or a write under it was accepted.
    Accepted { stage: String, token: i64 },
    /// A stage was RUNNING at a time since the start, with a live lease or without.
    Running {
        stage: String,
        at: Duration,
        has_lease: bool,
    },
}

/// How long a stage may be RUNNING without a lease, beyond the lifetime of one.
const PATIENCE: Duration = Duration::from_secs(5);

/// Checks I2, I3, I4 and I5 of what was observed so far.
#[derive(Default)]
pub(crate) struct Checker {
    /// The lifetime of a lease.
    ttl: Duration,
    /// Newest event by watcher and job.
    newest: BTreeMap<(u32, u32), i64>,
    /// The content of an event, by job and sequence.
    events: BTreeMap<(u32, i64), String>,
    /// Sequence of the terminal event, by job.
    ended: BTreeMap<u32, i64>,
    /// The greatest token under which something was accepted.
    tokens: BTreeMap<String, i64>,
    /// Since when a stage has been RUNNING without a lease.
    bare: BTreeMap<String, Duration>,
}

impl Checker {
    pub(crate) fn new(ttl: Duration) -> Self {
        Self {
            ttl,
            ..Self::default()
        }
    }

    /// Takes the next observation.
    pub(crate) fn check(&mut self, one: &Seen) -> Result<(), String> {
        match one {
            Seen::Event {
                watcher,
                job,
                sequence,
                what,
                is_terminal,
            } => {
                self.check_order(*watcher, *job, *sequence)?;
                self.check_event(*job, *sequence, what)?;
                self.check_end(*job, *sequence, *is_terminal)
            }
            Seen::WatchEnded { watcher, job } => {
                let last = self.newest.get(&(*watcher, *job));
                if last.is_some() && last == self.ended.get(job) {
                    Ok(())
                } else {
                    Err(format!(
                        "I3: watch {watcher} of job {job} ended before its end"
                    ))
                }
            }
            Seen::Accepted { stage, token } => self.check_token(stage, *token),
            Seen::Running {
                stage,
                at,
                has_lease,
            } => self.check_lease(stage, *at, *has_lease),
        }
    }

    fn check_order(&mut self, watcher: u32, job: u32, sequence: i64) -> Result<(), String> {
        let last = self.newest.entry((watcher, job)).or_default();
        if sequence != *last + 1 {
            return Err(format!(
                "I2: {sequence} came to watch {watcher} of job {job} after {last}"
            ));
        }
        *last = sequence;
        Ok(())
    }

    fn check_event(&mut self, job: u32, sequence: i64, what: &str) -> Result<(), String> {
        let known = self.events.entry((job, sequence));
        let known = known.or_insert_with(|| what.to_owned());
        if known != what {
            return Err(format!(
                "I2: event {sequence} of job {job} is {known} and {what}"
            ));
        }
        Ok(())
    }

    fn check_end(&mut self, job: u32, sequence: i64, is_terminal: bool) -> Result<(), String> {
        if is_terminal {
            self.ended.entry(job).or_insert(sequence);
        }
        match self.ended.get(&job) {
            Some(end) if sequence > *end || (is_terminal && sequence != *end) => Err(format!(
                "I3: event {sequence} of job {job}, which ended with {end}"
            )),
            _ => Ok(()),
        }
    }

    fn check_token(&mut self, stage: &str, token: i64) -> Result<(), String> {
        let newest = self.tokens.entry(stage.to_owned()).or_insert(token);
        if token < *newest {
            return Err(format!("I4: {stage} took {token} after {newest}"));
        }
        *newest = token;
        Ok(())
    }

    fn check_lease(&mut self, stage: &str, at: Duration, has_lease: bool) -> Result<(), String> {
        if has_lease {
            self.bare.remove(stage);
            return Ok(());
        }
        let since = *self.bare.entry(stage.to_owned()).or_insert(at);
        if at - since > self.ttl + PATIENCE {
            return Err(format!(
                "I5: {stage} was RUNNING without a lease from {since:?} to {at:?}"
            ));
        }
        Ok(())
    }
}
