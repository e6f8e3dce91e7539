//! The runner's loop: takes leases and starts their stages.

use std::{io, sync::Arc, time::Duration};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::{JoinSet, spawn_blocking},
    time::sleep,
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use uuid::Uuid;

use super::{
    Acquired, Lease, LeaseError, Leases, Registered, Registration, WorkRequest, actions,
    leases::delay,
    process::Guards,
    settings::{RunnerError, RunnerSettings, ServicePlace},
    stage,
    workspace::{Home, Workspaces},
};
use crate::{
    domain::{Offer, SessionId},
    scratch,
};

/// How long the service may hold a request for work.
const MAX_WAIT: Duration = Duration::from_secs(50);

/// Prepares a runner and runs stages: [`Runner::prepare`], then [`Runner::run`].
///
/// # Errors
/// As for these two.
pub async fn run(
    leases: Arc<dyn Leases>,
    settings: RunnerSettings,
    stop: CancellationToken,
) -> Result<(), RunnerError> {
    let runner = Runner::prepare(leases, settings).await?;
    runner.run(stop).await
}

/// A prepared runner, which has not asked for work yet.
pub struct Runner(Agent);

impl Runner {
    /// Detects and logs the available guards, and locks the directory of the
    /// workspaces.
    ///
    /// # Errors
    /// The directory cannot be used, or the guards that the settings require are not
    /// available.
    pub async fn prepare(
        leases: Arc<dyn Leases>,
        settings: RunnerSettings,
    ) -> Result<Self, RunnerError> {
        let guards = Guards::find(&settings.supervision).await?;
        if guards.lacks_memory_limit() {
            warn!("stages are guarded: {guards}");
        } else {
            info!("stages are guarded: {guards}");
        }
        // Tidying up may take a while, and removing files blocks.
        let made = spawn_blocking(move || Agent::new(leases, settings, guards));
        let agent = made.await.map_err(io::Error::other)??;
        let place = agent.workspaces.place();
        // In the background: nothing depends on what earlier processes left behind.
        spawn_blocking(move || scratch::sweep(&place));
        Ok(Self(agent))
    }

    /// Runs stages until `stop`, or until the service says that it is stopping, and
    /// then until the stages that still run have ended. A runner whose service keeps running
    /// also runs the other stages of the jobs that it has started: their
    /// workspaces exist only here.
    ///
    /// Dropping the future kills them instead, without grace.
    ///
    /// # Errors
    /// The service refuses the runner.
    pub async fn run(self, stop: CancellationToken) -> Result<(), RunnerError> {
        let Self(mut agent) = self;
        let mut ended = tokio::select! {
            ended = agent.take_work() => ended,
            () = stop.cancelled() => Ok(()),
        };
        if stop.is_cancelled() && agent.service == ServicePlace::Elsewhere {
            agent.leaving = true;
            ended = agent.take_work().await;
        }
        while agent.tasks.join_next().await.is_some() {}
        agent.deregister().await;
        // Workspaces may be large, and removing files blocks.
        spawn_blocking(move || drop(agent))
            .await
            .map_err(io::Error::other)?;
        ended
    }
}

struct Agent {
    leases: Arc<dyn Leases>,
    registration: Registration,
    guards: Arc<Guards>,
    service: ServicePlace,
    home: Option<Home>,
    /// Of the current or last request for work: its answer may be a lease.
    request_id: Uuid,
    /// The service knows this process.
    is_registered: bool,
    /// Takes no new jobs.
    leaving: bool,
    workspaces: Workspaces,
    slots: Arc<Semaphore>,
    /// Running stages, and removals of workspaces.
    tasks: JoinSet<()>,
}

impl Agent {
    fn new(leases: Arc<dyn Leases>, settings: RunnerSettings, guards: Guards) -> io::Result<Self> {
        let RunnerSettings {
            display_name,
            labels,
            capacity,
            execution,
            supervision: _,
            service,
        } = settings;
        let capacity = capacity.max(1);
        let directory = execution
            .workspace_dir()
            .filter(|_| service == ServicePlace::Elsewhere);
        let home = directory.map(Home::take).transpose()?;
        if let Some(home) = &home
            && !execution.keeps_workspaces()
        {
            home.tidy_up()?;
        }
        Ok(Self {
            leases,
            registration: Registration {
                display_name,
                offer: Arc::new(Offer {
                    labels,
                    actions: actions::SUPPORTED.into(),
                }),
                capacity,
                version: env!("CARGO_PKG_VERSION").to_owned(),
                session_id: SessionId(Uuid::new_v4()),
                runner_id: home.as_ref().and_then(Home::runner_id),
                owner: String::new(),
            },
            guards: Arc::new(guards),
            service,
            request_id: Uuid::new_v4(),
            is_registered: false,
            leaving: false,
            workspaces: Workspaces::new(execution, home.as_ref())?,
            home,
            slots: Arc::new(Semaphore::new(capacity)),
            tasks: JoinSet::new(),
        })
    }

    /// Ends when the service is stopping or, for a runner that leaves, when the last of the
    /// jobs that it has started has ended.
    async fn take_work(&mut self) -> Result<(), RunnerError> {
        if self.has_left() {
            return Ok(());
        }
        let Some(mut runner) = self.register().await? else {
            return Ok(());
        };
        let mut failures = 0;
        loop {
            let slot = self.free_slot().await;
            match self.leases.acquire(self.request(&runner)).await {
                Ok(acquired) => {
                    failures = 0;
                    self.request_id = Uuid::new_v4();
                    self.start(acquired, slot, runner);
                    if self.has_left() {
                        return Ok(());
                    }
                    continue;
                }
                Err(LeaseError::Stopping) => return Ok(()),
                Err(LeaseError::Lost | LeaseError::Unregistered) => match self.register().await? {
                    Some(registered) => {
                        runner = registered;
                        // The service is reachable: with the earlier long delay, the
                        // runner would soon count as lost again.
                        failures = 0;
                    }
                    None => return Ok(()),
                },
                // Retried with the same id: the lost answer may have been a lease.
                Err(
                    reason @ (LeaseError::Hole { .. }
                    | LeaseError::TooManyRunners { .. }
                    | LeaseError::Refused { .. }
                    | LeaseError::Failed(_)),
                ) => {
                    warn!(%reason, "could not ask for work, trying again");
                }
            }
            failures += 1;
            sleep(delay(failures)).await;
        }
    }

    fn has_left(&self) -> bool {
        self.leaving && self.workspaces.held().is_empty()
    }

    fn request(&self, runner: &Registered) -> WorkRequest {
        WorkRequest {
            runner_id: runner.runner_id,
            session_id: self.registration.session_id,
            request_id: self.request_id,
            max_wait: MAX_WAIT,
            held_jobs: self.workspaces.held(),
            leaving: self.leaving,
        }
    }

    /// None: the service is stopping.
    async fn register(&mut self) -> Result<Option<Registered>, RunnerError> {
        let mut failures = 0;
        loop {
            match self.leases.register(self.registration.clone()).await {
                Ok(registered) => {
                    self.is_registered = true;
                    self.keep_id(&registered)?;
                    return Ok(Some(registered));
                }
                Err(LeaseError::Stopping) => return Ok(None),
                Err(LeaseError::Refused { why, message }) => {
                    // The service does not know the runner any more.
                    self.is_registered = false;
                    return Err(RunnerError::Refused { why, message });
                }
                Err(reason) => warn!(%reason, "could not register, trying again"),
            }
            failures += 1;
            sleep(delay(failures)).await;
        }
    }

    /// Reports to a service that keeps running that this runner stops: the runner is offline
    /// from now on, and not only after it was silent for the lifetime of a lease.
    async fn deregister(&self) {
        let Registration {
            runner_id: Some(id),
            session_id,
            ..
        } = self.registration
        else {
            return;
        };
        if !self.is_registered || self.service == ServicePlace::ThisProcess {
            return;
        }
        if let Err(reason) = self.leases.deregister(id, session_id).await {
            info!(%reason, "could not deregister; the service shows this runner as online for a while");
        }
    }

    fn keep_id(&mut self, registered: &Registered) -> io::Result<()> {
        let id = Some(registered.runner_id);
        if self.registration.runner_id != id
            && let Some(home) = &self.home
        {
            home.keep(registered.runner_id)?;
        }
        self.registration.runner_id = id;
        Ok(())
    }

    async fn free_slot(&self) -> OwnedSemaphorePermit {
        let slots = Arc::clone(&self.slots);
        slots
            .acquire_owned()
            .await
            .expect("the semaphore is never closed")
    }

    fn start(&mut self, acquired: Acquired, slot: OwnedSemaphorePermit, terms: Registered) {
        let Acquired { lease, ended_jobs } = acquired;
        let removed = self.workspaces.remove(&ended_jobs);
        if !removed.is_empty() {
            self.tasks.spawn_blocking(move || drop(removed));
        }
        if let Some(Lease {
            proof,
            ttl: _,
            work,
        }) = lease
        {
            // Here and not in the stage, so that the next request for work already
            // names the job among those held.
            let workspace = self.workspaces.open(work.job_id, work.workspace_exists);
            let leases = Arc::clone(&self.leases);
            let guards = Arc::clone(&self.guards);
            let clock = self.service.clock();
            self.tasks.spawn(async move {
                stage::run(leases, &guards, proof, &terms, clock, work, workspace).await;
                drop(slot);
            });
        }
        // The set keeps the results of ended tasks until they are taken.
        while self.tasks.try_join_next().is_some() {}
    }
}
