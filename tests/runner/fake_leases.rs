//! In-memory leases. A test can wait for events of each, and inject failures.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use pipewright::{
    domain::{FencingToken, JobId, LeaseId, RunnerId, SessionId},
    runner::{
        Acquired, Appended, Completion, Directive, Lease, LeaseError, LeaseProof, Leases,
        LogAppend, Registered, Registration, Renewed, Report, StageWork, WorkRequest,
    },
};
use tokio::{sync::watch, time::timeout};
use uuid::Uuid;

/// Longer than any test takes; a test that waits this long has failed.
const PATIENCE: Duration = Duration::from_secs(60);

const TTL: Duration = Duration::from_secs(30);

/// The state of the fake service.
#[derive(Default)]
pub(crate) struct Board {
    queue: VecDeque<Lease>,
    ended: HashSet<JobId>,
    /// What the runner reported last.
    pub(crate) held: Vec<JobId>,
    pub(crate) registrations: usize,
    pub(crate) deregistrations: usize,
    tokens: i64,
    active: usize,
    pub(crate) most_active: usize,
    /// The error for the next request for work, once.
    pub(crate) refusal: Option<LeaseError>,
}

#[derive(Default)]
pub(crate) struct FakeLeases {
    pub(crate) board: Watched<Board>,
    runs: Mutex<HashMap<LeaseId, Arc<Run>>>,
}

impl FakeLeases {
    /// As a service has it: no two leases have the same one.
    fn next_token(&self) -> FencingToken {
        let mut token = 0;
        self.board.change(|board| {
            board.tokens += 1;
            token = board.tokens;
        });
        FencingToken(token)
    }

    /// The ids of all leases that were given.
    pub(crate) fn lease_ids(&self) -> Vec<LeaseId> {
        self.runs.lock().unwrap().keys().copied().collect()
    }

    pub(crate) fn give(&self, work: StageWork) -> Arc<Run> {
        self.give_in_state(work, RunState::default())
    }

    pub(crate) fn give_in_state(&self, work: StageWork, state: RunState) -> Arc<Run> {
        let proof = LeaseProof {
            lease_id: LeaseId(Uuid::now_v7()),
            token: self.next_token(),
        };
        let run = Arc::new(Run(Watched(watch::Sender::new(state))));
        let kept = Arc::clone(&run);
        self.runs.lock().unwrap().insert(proof.lease_id, kept);
        let lease = Lease {
            proof,
            ttl: TTL,
            work,
        };
        self.board.change(|board| board.queue.push_back(lease));
        run
    }

    pub(crate) fn end_job(&self, job: JobId) {
        self.board.change(|board| {
            board.ended.insert(job);
        });
    }

    fn run(&self, proof: LeaseProof) -> Arc<Run> {
        Arc::clone(&self.runs.lock().unwrap()[&proof.lease_id])
    }
}

#[async_trait]
impl Leases for FakeLeases {
    async fn register(&self, _: Registration) -> Result<Registered, LeaseError> {
        self.board.change(|board| board.registrations += 1);
        Ok(Registered {
            runner_id: RunnerId(Uuid::now_v7()),
            lease_ttl: TTL,
            max_log_chunk: 256 * 1024,
        })
    }

    async fn acquire(&self, request: WorkRequest) -> Result<Acquired, LeaseError> {
        let WorkRequest {
            max_wait,
            held_jobs,
            ..
        } = request;
        self.board.change(|board| board.held = held_jobs.to_vec());
        let news = |board: &Board| {
            let ended = held_jobs.iter().any(|job| board.ended.contains(job));
            ended || !board.queue.is_empty() || board.refusal.is_some()
        };
        let _ = timeout(max_wait, self.board.until(news)).await;
        let mut answer = Ok(Acquired::default());
        self.board.change(|board| {
            if let Some(refusal) = board.refusal.take() {
                answer = Err(refusal);
                return;
            }
            let lease = board.queue.pop_front();
            board.active += usize::from(lease.is_some());
            board.most_active = board.most_active.max(board.active);
            let ended_jobs = board.ended.iter().copied().collect();
            answer = Ok(Acquired { lease, ended_jobs });
        });
        answer
    }

    async fn deregister(&self, _: RunnerId, _: SessionId) -> Result<(), LeaseError> {
        self.board.change(|board| board.deregistrations += 1);
        Ok(())
    }

    async fn renew(
        &self,
        proof: LeaseProof,
        report: Report,
        known: Directive,
        max_wait: Duration,
    ) -> Result<Renewed, LeaseError> {
        let run = self.run(proof);
        let mut fails = false;
        run.0.change(|state| {
            state.renewals += 1;
            state.waits.push(max_wait);
            fails = !max_wait.is_zero() && state.renewal_failures > 0;
            state.renewal_failures -= usize::from(fails);
            state.commit = state.commit.take().or(report.commit_id);
        });
        if fails {
            return Err(LeaseError::Failed("away".to_owned()));
        }
        let news = |state: &RunState| state.lost || state.directive() != known;
        let _ = timeout(max_wait, run.0.until(news)).await;
        run.0.read(|state| {
            if state.lost {
                return Err(LeaseError::Lost);
            }
            Ok(Renewed {
                ttl: state.ttl.unwrap_or(TTL),
                directive: state.directive(),
                commit_id: state.commit.clone(),
            })
        })
    }

    async fn append_log(
        &self,
        proof: LeaseProof,
        append: LogAppend,
    ) -> Result<Appended, LeaseError> {
        let LogAppend { offset, data, .. } = append;
        assert!(!data.is_empty() && data.len() <= 256 * 1024);
        let mut answer = Err(LeaseError::Lost);
        self.run(proof).0.change(|state| {
            if state.lost {
                return;
            }
            let size = state.log.len() as u64;
            assert!(offset <= size, "a gap before {offset}");
            let fails = state.log_failures > 0;
            state.log_failures -= usize::from(fails);
            // A failure stores half of it, so that the next try overlaps.
            let stored = data.len() / if fails { 2 } else { 1 };
            let known = usize::try_from(size - offset).unwrap().min(stored);
            state.log.extend_from_slice(&data[known..stored]);
            if fails {
                answer = Err(LeaseError::Failed("the disk is full".into()));
                return;
            }
            answer = Ok(Appended {
                committed: state.log.len() as u64,
                directive: state.directive(),
            });
        });
        answer
    }

    async fn complete(&self, proof: LeaseProof, completion: Completion) -> Result<(), LeaseError> {
        let run = self.run(proof);
        let committed = run.0.read(|state| state.log.len() as u64);
        if completion.log_size != committed && !completion.log_incomplete {
            return Err(LeaseError::Hole { committed });
        }
        self.board.change(|board| board.active -= 1);
        run.0.change(|state| {
            assert!(state.completion.replace(completion).is_none());
        });
        Ok(())
    }
}

/// The state of one lease.
#[derive(Default)]
pub(crate) struct RunState {
    pub(crate) log: Vec<u8>,
    pub(crate) cancel: bool,
    pub(crate) lost: bool,
    /// Lifetime that a renewal returns; the usual one if `None`.
    pub(crate) ttl: Option<Duration>,
    /// How many further appends fail.
    pub(crate) log_failures: usize,
    pub(crate) renewals: usize,
    /// How long each renewal was to be held.
    pub(crate) waits: Vec<Duration>,
    /// How many further renewals fail, among those that are to be held.
    pub(crate) renewal_failures: usize,
    pub(crate) commit: Option<String>,
    pub(crate) completion: Option<Completion>,
}

impl RunState {
    fn directive(&self) -> Directive {
        if self.cancel {
            Directive::Cancel
        } else {
            Directive::Continue
        }
    }
}

/// A test's handle on one lease.
pub(crate) struct Run(pub(crate) Watched<RunState>);

impl Run {
    pub(crate) async fn logged(&self, text: &str) {
        let has = |state: &RunState| String::from_utf8_lossy(&state.log).contains(text);
        self.0.until(has).await;
    }

    /// The completion and the log.
    pub(crate) async fn done(&self) -> (Completion, Vec<u8>) {
        self.0.until(|state| state.completion.is_some()).await;
        self.0
            .read(|state| (state.completion.clone().unwrap(), state.log.clone()))
    }
}

/// A value that notifies waiters of its changes.
pub(crate) struct Watched<T>(watch::Sender<T>);

impl<T: Default> Default for Watched<T> {
    fn default() -> Self {
        Self(watch::Sender::new(T::default()))
    }
}

impl<T> Watched<T> {
    pub(crate) fn change(&self, change: impl FnOnce(&mut T)) {
        self.0.send_modify(change);
    }

    pub(crate) fn read<R>(&self, read: impl FnOnce(&T) -> R) -> R {
        read(&self.0.borrow())
    }

    pub(crate) async fn until(&self, mut condition: impl FnMut(&T) -> bool) {
        let mut changes = self.0.subscribe();
        let waited = timeout(PATIENCE, changes.wait_for(|value| condition(value))).await;
        assert!(waited.is_ok(), "timed out");
    }
}
