//! What the service does: loads a scope, decides purely, commits, and notifies those
//! who wait for it. Knows nothing of how it is called.
//!
//! A folder an aggregate, each a type with only the fields that it needs. `journal` is the
//! only writer, `tasks` the one driver of periodic work, `signals` the followers of jobs.

mod access;
mod budgets;
mod call;
mod durability;
mod environment;
mod error;
mod jitter;
mod jobs;
mod journal;
mod lifecycle;
mod logs;
mod pipelines;
mod projects;
mod runners;
mod settings;
mod signals;
mod stats;
mod tasks;
#[cfg(test)]
mod tests;

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::{sync::Notify, time};

use crate::{
    blobs::logs::LogStore,
    store::{Lifetime, Store},
};

pub use crate::blobs::logs::GapReason;

pub use call::{Call, RequestIdentity};
pub use durability::{Durability, Seen};
pub use environment::{Clock, IdSource, SystemClock, UuidV7};
pub use error::Error;
pub use jobs::{
    JobView, Jobs, LOADED_FOR, LogPiece, LogRequest, Opening, StageLog, StageView, TriggerRequest,
    Watch,
};
pub use pipelines::{Pipelines, Update};
pub use projects::{ProjectDraft, ProjectEntry, ProjectUpdate, Projects};
pub use runners::{
    LeaseError, LeaseRefusal, Leases, PrincipalLeases, RunnerView, Runners, RunningStage,
};
pub use settings::{MemoryLimits, Settings};
pub use stats::Stats;
pub use tasks::{TaskState, TaskStatus, Tasks};

use budgets::Budgets;
use environment::Environment;
use jobs::{LogRemovals, Retention, Turns};
use journal::{
    Journal, Subscribers,
    outbox::{self, Outbox},
};
use lifecycle::Lifecycle;
use runners::{Expiry, Roster, Waiters};
use signals::{Followers, Signals};
use stats::Observer;

/// The service without its network side.
pub struct Engine {
    pipelines: Arc<Pipelines>,
    jobs: Arc<Jobs>,
    runners: Arc<Runners>,
    projects: Arc<Projects>,
    tasks: Tasks,
    lifecycle: Lifecycle,
    lifetime: Lifetime,
    observer: Observer,
    /// What the tasks run on: they end with the engine.
    _workers: Workers,
}

/// The objects of the tasks, which hold no more than weak references to them.
struct Workers {
    _turns: Arc<Turns>,
    _retention: Arc<Retention>,
    _expiry: Arc<Expiry>,
    _outbox: Arc<Outbox>,
    _orphans: Arc<logs::Orphans>,
}

impl Engine {
    /// An engine on a store, and the tasks that keep house until the engine is dropped. What
    /// an earlier process has left in the store is taken over first.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn start(
        store: Arc<dyn Store>,
        logs: Arc<dyn LogStore>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdSource>,
        settings: Settings,
    ) -> Result<Arc<Self>, Error> {
        let environment = Environment::new(clock, ids);
        let tasks = Tasks::new(environment.clock());
        let lifecycle = Lifecycle::default();
        let journal = Arc::new(Journal::new(Arc::clone(&store), environment.clone()));

        let forgettable = Arc::new(Notify::new());
        let signals = Arc::new(Signals::new(Arc::clone(&forgettable)));
        let waiters = Arc::new(Waiters::default());
        let wakes = Arc::new(runners::Wakes::default());
        let pending = Arc::new(jobs::Pending::default());
        let posted = Arc::new(outbox::Posted::default());
        let subscribers = Arc::new(Subscribers::default());
        subscribers.set(vec![
            Arc::new(stats::Counters),
            Arc::new(Followers(Arc::clone(&signals))),
            Arc::new(logs::Closing::start(Arc::clone(&logs))),
            Arc::clone(&pending) as _,
            Arc::clone(&waiters) as _,
            Arc::clone(&wakes) as _,
            Arc::new(jobs::Ends(Arc::clone(&forgettable))),
            Arc::clone(&posted) as _,
            Arc::new(lifecycle.clone()),
        ]);
        store.subscribe(subscribers);

        let now = environment.steady_now();
        let earlier = store.take_over(now, now + settings.lease_ttl).await?;

        let roster = Arc::new(Roster::new(
            Arc::clone(&store),
            environment.clone(),
            Arc::clone(&waiters),
            settings.lease_ttl,
        ));
        let runners = Arc::new(Runners::new(
            Arc::clone(&journal),
            Arc::clone(&logs),
            Arc::clone(&signals),
            Arc::clone(&waiters),
            Arc::clone(&roster),
            lifecycle.clone(),
            settings,
        ));
        for runner_id in earlier {
            runners.forsake(runner_id).await?;
        }
        let budgets = Arc::new(Budgets::new(
            Arc::clone(&journal),
            Arc::clone(&signals),
            settings.memory,
        ));
        let jobs = Arc::new(Jobs::new(
            Arc::clone(&journal),
            Arc::clone(&budgets),
            Arc::clone(&logs),
            Arc::clone(&signals),
            Arc::clone(&roster),
            lifecycle.clone(),
            settings,
        ));
        let projects = Arc::new(Projects::new(Arc::clone(&journal), Arc::clone(&budgets)));
        projects.make_default().await?;
        let pipelines = Arc::new(Pipelines::new(
            Arc::clone(&journal),
            budgets,
            Arc::clone(&jobs),
            Arc::clone(&projects),
        ));

        let turns = Arc::new(Turns::new(Arc::clone(&journal), Arc::clone(&pending)));
        let wake = Arc::clone(&pending.wake);
        tasks.spawn(jobs::TURNS, wake, weak(&turns), Turns::run);
        let retention = Retention::new(Arc::clone(&journal), Arc::clone(&signals), settings);
        let retention = Arc::new(retention);
        tasks.spawn(
            jobs::RETENTION,
            forgettable,
            weak(&retention),
            Retention::run,
        );
        let expiry = Arc::new(Expiry::new(Arc::clone(&runners), Arc::clone(&wakes)));
        let wake = Arc::clone(&wakes.wake);
        tasks.spawn(runners::EXPIRY, wake, weak(&expiry), Expiry::run);
        let removals = Arc::new(LogRemovals(Arc::clone(&logs)));
        let outbox = Arc::new(Outbox::new(Arc::clone(&journal), vec![removals]));
        let wake = Arc::clone(&posted.0);
        tasks.spawn(outbox::TASK, wake, weak(&outbox), Outbox::run);
        let orphans = Arc::new(logs::Orphans {
            store: Arc::clone(&store),
            logs: Arc::clone(&logs),
        });
        let never = Arc::new(Notify::new());
        tasks.spawn(logs::TASK, never, weak(&orphans), logs::Orphans::run);

        Ok(Arc::new(Self {
            pipelines,
            jobs,
            runners,
            projects,
            tasks,
            lifecycle,
            lifetime: store.instance().lifetime,
            observer: Observer {
                store,
                environment,
                roster,
                signals,
                logs,
            },
            _workers: Workers {
                _turns: turns,
                _retention: retention,
                _expiry: expiry,
                _outbox: outbox,
                _orphans: orphans,
            },
        }))
    }

    /// Pipelines.
    pub fn pipelines(&self) -> &Arc<Pipelines> {
        &self.pipelines
    }

    /// Jobs.
    pub fn jobs(&self) -> &Arc<Jobs> {
        &self.jobs
    }

    /// Runners, and the leases of each principal's runners.
    pub fn runners(&self) -> &Arc<Runners> {
        &self.runners
    }

    /// Projects.
    pub fn projects(&self) -> &Arc<Projects> {
        &self.projects
    }

    /// Background tasks.
    pub fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    /// What is at this moment. Costs as much as there are runners.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn stats(&self) -> Result<Stats, Error> {
        self.observer.stats().await
    }

    /// Tells when what calls have seen is durable.
    pub fn durability(&self) -> Durability {
        Durability::of(&self.observer.store)
    }

    /// Ends once open streams have to end.
    pub async fn closing(&self) {
        self.lifecycle.closing().await;
    }

    /// Refuses new work and ends all streams. What becomes of active jobs depends on the
    /// store: if it ends with the process they are cancelled, and waited for up to `limit`;
    /// else they stay, to go on after the next start.
    pub async fn stop(&self, limit: Duration) {
        self.lifecycle.stop();
        // Runners that wait for work learn that there is none to come.
        self.runners.wake_all();
        if self.lifetime == Lifetime::Process {
            match time::timeout(limit, self.jobs.end_all()).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::error!(%error, "jobs could not be cancelled"),
                Err(_) => tracing::warn!(?limit, "stages are still running; killing them"),
            }
        }
        self.lifecycle.close();
    }
}

fn weak<T>(strong: &Arc<T>) -> Weak<T> {
    Arc::downgrade(strong)
}
