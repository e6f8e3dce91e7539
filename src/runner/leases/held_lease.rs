//! A lease while its stage runs: the calls to the service under it, and the service's
//! answers.

use std::{
    convert::Infallible,
    sync::{Arc, OnceLock},
    time::Duration,
};

use tokio::time::sleep;

use super::{
    deadline::Deadline,
    retry::{delay, retried},
    stop::{Cause, Stop},
};
use crate::{
    runner::{
        Completion, Directive, LeaseError, LeaseProof, Leases, LogAppend, Registered, Renewed,
        Report,
    },
    supervisor::Clock,
};

/// One lease, and the signal to stop the stage that runs under it.
pub(in crate::runner) struct HeldLease {
    leases: Arc<dyn Leases>,
    pub(in crate::runner) proof: LeaseProof,
    /// How long the lease lives after a renewal, and how long a call that needs an answer
    /// is retried: after that it would be refused.
    life: Duration,
    pub(in crate::runner) max_log_chunk: usize,
    commit: OnceLock<String>,
    pub(in crate::runner) stop: Stop,
    pub(in crate::runner) deadline: Deadline,
}

impl HeldLease {
    pub(in crate::runner) fn new(
        leases: Arc<dyn Leases>,
        proof: LeaseProof,
        terms: &Registered,
        clock: Clock,
    ) -> Self {
        Self {
            leases,
            proof,
            life: terms.lease_ttl,
            max_log_chunk: terms.max_log_chunk,
            commit: OnceLock::new(),
            stop: Stop::new(),
            deadline: Deadline::new(clock),
        }
    }

    /// How long the service may take to accept the rest of a stage's log: half of the lease's
    /// life, so that there is time left to report the end of the stage.
    pub(in crate::runner) fn last_patience(&self) -> Duration {
        self.life / 2
    }

    /// Reports that the stage is about to start; the answer says whether it may.
    pub(in crate::runner) async fn confirm(&self) -> Result<Directive, LeaseError> {
        let renewed = retried(self.life / 2, || {
            self.renew(Directive::Continue, Duration::ZERO)
        })
        .await?;
        Ok(self.heed(renewed.directive))
    }

    /// Renews until the stage's future is dropped, and forwards the service's
    /// directives. While the service is unreachable, nothing changes for the stage
    /// until [`fence`](Self::fence) does.
    pub(in crate::runner) async fn keep(&self, mut known: Directive) -> Infallible {
        let mut failures = 0;
        loop {
            // After a failure the deadline may come before the end of a call that is held.
            let max_wait = match failures {
                0 => self.life / 3,
                _ => Duration::ZERO,
            };
            match self.renew(known, max_wait).await {
                Ok(renewed) => {
                    failures = 0;
                    known = self.heed(renewed.directive);
                }
                Err(LeaseError::Lost) => return std::future::pending().await,
                Err(
                    LeaseError::Unregistered
                    | LeaseError::Stopping
                    | LeaseError::TooManyRunners { .. }
                    | LeaseError::Hole { .. }
                    | LeaseError::Refused { .. }
                    | LeaseError::Failed(_),
                ) => {
                    failures += 1;
                    sleep(delay(failures)).await;
                }
            }
        }
    }

    /// Gives the lease up when no renewal has come in time: from then on the service
    /// may give the stage to another runner.
    pub(in crate::runner) async fn fence(&self) -> Infallible {
        self.deadline.passed().await;
        self.stop.ask(Cause::LeaseLost);
        std::future::pending().await
    }

    /// The commit that the stage runs on, once it is known.
    pub(in crate::runner) fn commit(&self) -> Option<&str> {
        self.commit.get().map(String::as_str)
    }

    /// Keeps the commit that the stage runs on; the first one stays.
    pub(in crate::runner) fn set_commit(&self, commit: &str) {
        self.commit.get_or_init(|| commit.to_owned());
    }

    /// Proposes the commit that a ref resolved to and returns the one that
    /// the job runs on: another stage may have resolved the ref first, before a push.
    pub(in crate::runner) async fn agree(&self, found: &str) -> Result<String, LeaseError> {
        let renewed = self
            .report(Report {
                commit_id: Some(found.to_owned()),
                ..Report::default()
            })
            .await?;
        Ok(renewed.commit_id.unwrap_or_else(|| found.to_owned()))
    }

    pub(in crate::runner) async fn progress(&self, percent: u8) -> Result<(), LeaseError> {
        let report = Report {
            progress_percent: Some(percent),
            ..Report::default()
        };
        self.report(report).await.map(drop)
    }

    /// Appends to the log, once.
    pub(in crate::runner) async fn append(&self, append: LogAppend) -> Result<(), LeaseError> {
        let appended = self.check(self.leases.append_log(self.proof, append).await)?;
        self.heed(appended.directive);
        Ok(())
    }

    /// Ends the lease. If the service has lost a part of the log that it had accepted, the
    /// log is given up: the runner has nothing left to send.
    ///
    /// Retried for as long as the lease can live without a renewal.
    pub(in crate::runner) async fn complete(
        &self,
        completion: Completion,
    ) -> Result<(), LeaseError> {
        let answer = self.try_to_complete(completion.clone()).await;
        if !matches!(answer, Err(LeaseError::Hole { .. })) {
            return answer;
        }
        let incomplete = Completion {
            log_incomplete: true,
            ..completion
        };
        self.try_to_complete(incomplete).await
    }

    async fn try_to_complete(&self, completion: Completion) -> Result<(), LeaseError> {
        retried(self.life, || {
            self.leases.complete(self.proof, completion.clone())
        })
        .await
    }

    async fn report(&self, report: Report) -> Result<Renewed, LeaseError> {
        let send = || self.send(report.clone(), Directive::Continue, Duration::ZERO);
        let renewed = self.check(retried(self.life, send).await)?;
        self.heed(renewed.directive);
        Ok(renewed)
    }

    async fn renew(&self, known: Directive, max_wait: Duration) -> Result<Renewed, LeaseError> {
        let report = Report {
            commit_id: self.commit.get().cloned(),
            ..Report::default()
        };
        self.check(self.send(report, known, max_wait).await)
    }

    async fn send(
        &self,
        report: Report,
        known: Directive,
        max_wait: Duration,
    ) -> Result<Renewed, LeaseError> {
        let sent = self.deadline.clock().now();
        let renewal = self.leases.renew(self.proof, report, known, max_wait);
        renewal
            .await
            .inspect(|renewed| self.deadline.extend(sent, renewed.ttl))
    }

    fn heed(&self, directive: Directive) -> Directive {
        if directive == Directive::Cancel {
            self.stop.ask(Cause::Cancelled);
        }
        directive
    }

    fn check<T>(&self, answer: Result<T, LeaseError>) -> Result<T, LeaseError> {
        if matches!(answer, Err(LeaseError::Lost)) {
            self.stop.ask(Cause::LeaseLost);
        }
        answer
    }
}
