use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use rand::{RngExt, rngs::StdRng};
use tokio::time::sleep;
use uuid::Uuid;

use crate::{
    domain::{
        FencingToken, Outcome, RunnerId, SessionId,
        lease::{Lease, LeaseProof},
    },
    engine::{
        LeaseError,
        tests::world::{Runner, SECOND, TTL},
    },
};

use super::{
    machine::Service,
    record::{Record, StageName},
};

/// What a runner's process knows. That of a remote one outlives the service.
#[derive(Clone)]
pub(super) struct Process(Arc<Mutex<State>>);

struct State {
    name: String,
    /// Empty for a runner of the service itself.
    owner: String,
    id: Option<RunnerId>,
    session: Uuid,
    is_registered: bool,
    /// A request for work whose response did not come, and the newest token before it.
    asked: Option<(Uuid, FencingToken)>,
    held: Option<Held>,
    /// Leases that it held earlier.
    old: Vec<Held>,
}

#[derive(Clone)]
struct Held {
    stage: StageName,
    proof: LeaseProof,
    is_started: bool,
    log_size: u64,
}

impl Held {
    fn stage(&self) -> String {
        let (job, stage, _) = &self.stage;
        format!("{job} {stage}")
    }
}

impl Process {
    pub(super) fn new(owner: &str, name: &str, chance: &mut StdRng) -> Self {
        Self(Arc::new(Mutex::new(State {
            name: name.to_owned(),
            owner: owner.to_owned(),
            id: None,
            session: Uuid::from_u128(chance.random()),
            is_registered: false,
            asked: None,
            held: None,
            old: Vec::new(),
        })))
    }

    /// The process ends, and with it its stage. The next one does not know the old one's leases,
    /// but their late writes may still come.
    pub(super) fn restart(&self, chance: &mut StdRng) {
        let mut state = self.0.lock();
        state.session = Uuid::from_u128(chance.random());
        state.is_registered = false;
        state.asked = None;
        let held = state.held.take();
        state.old.extend(held);
    }
}

/// A runner that works on stages, sometimes too slowly, and retries its old leases.
pub(super) struct Worker {
    pub(super) process: Process,
    pub(super) service: Service,
    pub(super) record: Record,
    pub(super) chance: StdRng,
    /// It is always in time.
    pub(super) is_calm: bool,
}

impl Worker {
    pub(super) async fn work(mut self) {
        loop {
            let runner = self.runner();
            let (is_registered, held) = {
                let state = self.process.0.lock();
                (state.is_registered, state.held.clone())
            };
            if !is_registered {
                self.register(runner).await;
                continue;
            }
            match held {
                None => self.ask(&runner).await,
                Some(held) => self.go_on(&runner, held).await,
            }
            self.retry(&runner).await;
        }
    }

    fn runner(&self) -> Runner {
        let state = self.process.0.lock();
        let mut runner = Runner::new(&self.service.engine, &state.owner, &state.name, 1);
        runner.id = state.id;
        runner.session_id = SessionId(state.session);
        runner
    }

    /// The embedded runner is in the service, and waits for no response to leave it.
    async fn respond<T>(
        &self,
        call: impl Future<Output = Result<T, LeaseError>>,
    ) -> Result<T, LeaseError> {
        let is_embedded = self.process.0.lock().owner.is_empty();
        if is_embedded {
            call.await
        } else {
            self.service.respond(call).await
        }
    }

    async fn register(&mut self, runner: Runner) {
        match self.respond(runner.register()).await {
            Ok(id) => {
                let mut state = self.process.0.lock();
                state.id = Some(id);
                state.is_registered = true;
                let name = &runner.name;
                self.record.lock().respond(format!("{name} is {id}"));
            }
            Err(_) => sleep(SECOND).await,
        }
    }

    async fn ask(&mut self, runner: &Runner) {
        let newest = self.record.lock().newest_token();
        let (request, newest) = {
            let mut state = self.process.0.lock();
            let fresh = Uuid::from_u128(self.chance.random());
            *state.asked.get_or_insert((fresh, newest))
        };
        match self.respond(runner.ask(request, TTL)).await {
            Ok(None) => self.process.0.lock().asked = None,
            Ok(Some(lease)) => {
                self.take(runner, &lease, newest);
                self.pause().await;
            }
            Err(error) => {
                if matches!(error, LeaseError::Unregistered) {
                    // Its registration was acknowledged.
                    let name = &runner.name;
                    self.record
                        .violate(format!("I1: the runner {name} is lost"));
                }
                sleep(SECOND).await;
            }
        }
    }

    fn take(&self, runner: &Runner, lease: &Lease, newest: FencingToken) {
        let work = &lease.work;
        let held = Held {
            stage: (work.job_id, work.stage_name.clone(), work.attempt),
            proof: lease.proof,
            is_started: false,
            log_size: 0,
        };
        let mut told = self.record.lock();
        told.respond(format!("{} has {:?}", runner.name, held.stage));
        told.leased(lease, newest);
        let mut state = self.process.0.lock();
        state.asked = None;
        state.held = Some(held);
    }

    async fn go_on(&mut self, runner: &Runner, mut held: Held) {
        let newest = self.newest(&held);
        let drawn = self.chance.random_range(0..6);
        let accepted = if !held.is_started || drawn < 2 {
            let renewed = self.respond(runner.renew(held.proof)).await;
            renewed.map(|_| {
                held.is_started = true;
                let mut told = self.record.lock();
                told.stages.entry(held.stage.clone()).or_insert(false);
                true
            })
        } else if drawn < 4 {
            let appended = runner.append(held.proof, held.log_size, "line\n");
            match self.respond(appended).await {
                // The service lost what was not synced, and gets it again.
                Err(LeaseError::Hole { committed }) => {
                    held.log_size = committed;
                    self.process.0.lock().held = Some(held);
                    return;
                }
                appended => appended.map(|appended| {
                    held.log_size = appended.committed;
                    true
                }),
            }
        } else {
            let outcome = match drawn {
                4 => Outcome::Succeeded,
                _ if self.chance.random_range(0..4) == 0 => Outcome::CommandFailed,
                _ => Outcome::Succeeded,
            };
            let completed = self.respond(runner.complete(held.proof, outcome)).await;
            completed.map(|()| {
                let mut told = self.record.lock();
                told.stages.insert(held.stage.clone(), true);
                false
            })
        };
        self.concluded(&held, newest, &accepted);
        let is_over = match accepted {
            Ok(goes_on) => !goes_on,
            Err(LeaseError::Lost | LeaseError::Unregistered) => true,
            // Whether it was done is not known: it is tried again.
            Err(_) => false,
        };
        {
            let mut state = self.process.0.lock();
            if is_over {
                state.held = None;
                state.old.push(held);
            } else {
                state.held = Some(held);
            }
        }
        self.pause().await;
    }

    /// A late write under the lease that was held last.
    async fn retry(&mut self, runner: &Runner) {
        let old = self.process.0.lock().old.last().cloned();
        let Some(old) = old else { return };
        let newest = self.newest(&old);
        let retried = self.respond(runner.renew(old.proof)).await;
        self.concluded(&old, newest, &retried.map(|_| true));
    }

    fn newest(&self, held: &Held) -> Option<FencingToken> {
        self.record.lock().newest_accepted(&held.stage())
    }

    fn concluded(
        &self,
        held: &Held,
        newest: Option<FencingToken>,
        result: &Result<bool, LeaseError>,
    ) {
        let mut told = self.record.lock();
        let token = held.proof.token;
        told.respond(format!("{:?} {token:?}: {result:?}", held.stage));
        if result.is_ok() {
            told.accept(&held.stage(), token, newest);
        }
    }

    async fn pause(&mut self) {
        let millis = match self.chance.random_range(0..8) {
            0 if !self.is_calm => self.chance.random_range(5_000..50_000),
            1 => 0,
            _ => self.chance.random_range(0..3_000),
        };
        sleep(Duration::from_millis(millis)).await;
    }
}
