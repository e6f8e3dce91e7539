//! The machine of the service, and the service as it runs on it from a start to a crash.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use rand::{RngExt, rngs::StdRng};
use tokio::time::Instant;
use uuid::Uuid;

use crate::{
    engine::{Clock, Engine, Error, IdSource, Settings, tests::world::TTL},
    store::{
        DiskBug, DurableStore, SimulatedDisk,
        double::{Bug, Double},
    },
};

use super::logs::Logs;

/// An error that is planted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Planted {
    InStore(Bug),
    OnDisk(DiskBug),
}

/// What outlives the service.
pub(super) struct Machine {
    pub(super) disk: Arc<SimulatedDisk>,
    pub(super) logs: Arc<Logs>,
    ids: Arc<Ids>,
    now: SystemTime,
    bug: Option<Bug>,
}

impl Machine {
    pub(super) fn new(planted: Option<Planted>) -> Self {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let (bug, disk_bug) = match planted {
            None => (None, None),
            Some(Planted::InStore(bug)) => (Some(bug), None),
            Some(Planted::OnDisk(bug)) => (None, Some(bug)),
        };
        Self {
            disk: SimulatedDisk::new(now, disk_bug),
            logs: Arc::default(),
            ids: Arc::default(),
            now,
            bug,
        }
    }

    /// Starts the service. What it does on a store that fails is an error.
    pub(super) async fn start(&self) -> Result<Service, Error> {
        let (durable, _) = DurableStore::simulated(&self.disk)?;
        let durable = Arc::new(durable);
        let store = Arc::new(Double::new(Arc::clone(&durable) as _));
        store.plant(self.bug);
        let clock = LifeClock {
            started: self.now,
            since: Instant::now(),
        };
        let settings = Settings {
            lease_ttl: TTL,
            ..Settings::default()
        };
        let engine = Engine::start(
            Arc::clone(&store) as _,
            Arc::clone(&self.logs) as _,
            Arc::new(clock),
            Arc::clone(&self.ids) as _,
            settings,
        );
        Ok(Service {
            engine: engine.await?,
            store,
            durable,
            clock,
        })
    }

    /// The service has ended after it ran for so long, and stays away for a while.
    pub(super) fn crash(&mut self, ran: Duration, chance: &mut StdRng) {
        self.logs.crash(chance);
        let away = chance.random_range(1..40_000);
        self.now += ran + Duration::from_millis(away);
    }
}

/// Ids in order, the same ones in each run.
#[derive(Default)]
struct Ids(AtomicU64);

impl IdSource for Ids {
    fn next(&self, _: SystemTime) -> Uuid {
        let number = self.0.fetch_add(1, Ordering::Relaxed);
        Uuid::from_u128(u128::from(number) + 1)
    }
}

/// A wall clock that continues from one process to the next.
#[derive(Clone, Copy)]
struct LifeClock {
    started: SystemTime,
    since: Instant,
}

impl Clock for LifeClock {
    fn now(&self) -> SystemTime {
        self.started + self.since.elapsed()
    }
}

/// The service, from a start to a crash. Everything that it does ends with the runtime.
#[derive(Clone)]
pub(super) struct Service {
    pub(super) engine: Arc<Engine>,
    pub(super) store: Arc<Double>,
    pub(super) durable: Arc<DurableStore>,
    clock: LifeClock,
}

impl Service {
    pub(super) fn now(&self) -> SystemTime {
        self.clock.now()
    }

    /// As the middleware: no response leaves the service before what the call may have seen is
    /// durable.
    pub(super) async fn respond<T, E: From<Error>>(
        &self,
        call: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let durability = self.engine.durability();
        let seen = durability.mark();
        let result = call.await;
        durability.settled(seen).await?;
        result
    }

    /// Resolves when the process has to end because a write has failed.
    pub(super) async fn failed(&self) {
        self.durable.failed().await;
    }
}
