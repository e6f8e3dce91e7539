//! The runner's loop: takes leases and starts their stages.

use std::{collections::BTreeMap, io, sync::Arc, time::Duration};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::{JoinSet, spawn_blocking},
    time::sleep,
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use uuid::Uuid;

use super::{
    Acquired, Lease, LeaseError, Leases, Registered, Registration, WorkRequest, guards::Guards,
    retry::delay, stage, workspace::Workspaces,
};
use crate::{
    config::{Execution, Supervision},
    domain::SessionId,
};

/// How long the service may hold a request for work.
const MAX_WAIT: Duration = Duration::from_secs(50);

/// Settings of a runner.
#[derive(Clone, Debug)]
pub struct RunnerSettings {
    /// For people.
    pub display_name: String,
    /// A stage is given only to a runner that has all labels that it asks for.
    pub labels: BTreeMap<String, String>,
    /// Stages at once, at least 1; 0 counts as 1.
    pub capacity: usize,
    /// How commands are run.
    pub execution: Execution,
    /// What holds them within bounds.
    pub supervision: Supervision,
}

/// Runs stages until `stop`, or until the service says that it is stopping, and then
/// until the stages that still run are over.
///
/// Dropping the future kills them instead, without grace.
///
/// # Errors
/// The directory of the workspaces cannot be used, or the guards that the settings
/// demand are not to be had.
pub async fn run(
    leases: Arc<dyn Leases>,
    settings: RunnerSettings,
    stop: CancellationToken,
) -> io::Result<()> {
    let guards = Guards::find(&settings.supervision).await?;
    info!("stages are guarded: {guards}");
    let mut agent = Agent::new(leases, settings, guards)?;
    tokio::select! {
        () = agent.take_work() => {}
        () = stop.cancelled() => {}
    }
    while agent.tasks.join_next().await.is_some() {}
    // Workspaces may be large, and removing files blocks.
    spawn_blocking(move || drop(agent)).await?;
    Ok(())
}

struct Agent {
    leases: Arc<dyn Leases>,
    registration: Registration,
    guards: Arc<Guards>,
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
        } = settings;
        let capacity = capacity.max(1);
        Ok(Self {
            leases,
            registration: Registration {
                display_name,
                labels,
                capacity,
                version: env!("CARGO_PKG_VERSION").to_owned(),
                session_id: SessionId(Uuid::new_v4()),
                runner_id: None,
            },
            guards: Arc::new(guards),
            workspaces: Workspaces::new(execution)?,
            slots: Arc::new(Semaphore::new(capacity)),
            tasks: JoinSet::new(),
        })
    }

    /// Ends when the service is stopping.
    async fn take_work(&mut self) {
        let Some(mut runner) = self.register().await else {
            return;
        };
        let mut request_id = Uuid::new_v4();
        let mut failures = 0;
        loop {
            let slot = self.free_slot().await;
            match self.leases.acquire(self.request(&runner, request_id)).await {
                Ok(acquired) => {
                    failures = 0;
                    request_id = Uuid::new_v4();
                    self.start(acquired, slot);
                    continue;
                }
                Err(LeaseError::Stopping) => return,
                Err(LeaseError::Lost | LeaseError::Unregistered) => match self.register().await {
                    Some(registered) => runner = registered,
                    None => return,
                },
                // Asked again under the same id: the answer may be what was lost.
                Err(reason @ (LeaseError::Hole { .. } | LeaseError::Failed(_))) => {
                    warn!(%reason, "could not ask for work");
                }
            }
            failures += 1;
            sleep(delay(failures)).await;
        }
    }

    fn request(&self, runner: &Registered, request_id: Uuid) -> WorkRequest {
        WorkRequest {
            runner_id: runner.runner_id,
            session_id: self.registration.session_id,
            request_id,
            max_wait: MAX_WAIT,
            held_jobs: self.workspaces.held(),
        }
    }

    /// None: the service is stopping.
    async fn register(&mut self) -> Option<Registered> {
        let mut failures = 0;
        loop {
            match self.leases.register(self.registration.clone()).await {
                Ok(registered) => {
                    self.registration.runner_id = Some(registered.runner_id);
                    return Some(registered);
                }
                Err(LeaseError::Stopping) => return None,
                Err(reason) => warn!(%reason, "could not register"),
            }
            failures += 1;
            sleep(delay(failures)).await;
        }
    }

    async fn free_slot(&self) -> OwnedSemaphorePermit {
        let slots = Arc::clone(&self.slots);
        slots
            .acquire_owned()
            .await
            .expect("the semaphore is never closed")
    }

    fn start(&mut self, acquired: Acquired, slot: OwnedSemaphorePermit) {
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
            let workspace = self.workspaces.open(work.job_id);
            let leases = Arc::clone(&self.leases);
            let guards = Arc::clone(&self.guards);
            self.tasks.spawn(async move {
                stage::run(leases, &guards, proof, work, workspace).await;
                drop(slot);
            });
        }
        // The set keeps the results of ended tasks until somebody takes them.
        while self.tasks.try_join_next().is_some() {}
    }
}
