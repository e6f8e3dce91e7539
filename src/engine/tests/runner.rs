use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use bytes::Bytes;
use uuid::Uuid;

use crate::{
    domain::{
        ActionKind, Offer, Outcome, RunnerId, SessionId, Variables,
        lease::{
            Appended, Completion, Directive, Lease, LeaseProof, LogAppend, Registration, Renewed,
            Report, WorkRequest,
        },
    },
    engine::{Engine, LeaseError, Leases, PrincipalLeases},
};

use super::world::{TTL, World};

/// A runner that a test controls.
#[derive(Clone)]
pub(super) struct Runner {
    /// Weak, so that it does not keep an engine alive.
    engine: Weak<Engine>,
    /// `None` before it registers for the first time.
    pub(super) id: Option<RunnerId>,
    pub(super) session_id: SessionId,
    pub(super) name: String,
    owner: String,
    /// Differs in each of its processes.
    version: String,
    capacity: usize,
}

impl Runner {
    /// A runner that has not registered yet.
    pub(super) fn new(engine: &Arc<Engine>, owner: &str, name: &str, capacity: usize) -> Self {
        Self {
            engine: Arc::downgrade(engine),
            id: None,
            session_id: SessionId(Uuid::new_v4()),
            name: name.to_owned(),
            owner: owner.to_owned(),
            version: "1".to_owned(),
            capacity,
        }
    }

    fn leases(&self) -> PrincipalLeases {
        let engine = self.engine.upgrade();
        engine
            .expect("the engine runs")
            .runners()
            .leases_of(&self.owner)
    }

    pub(super) async fn register(&self) -> Result<RunnerId, LeaseError> {
        let registration = Registration {
            display_name: self.name.clone(),
            offer: Arc::new(Offer {
                labels: Variables::new(),
                actions: ActionKind::ALL.into(),
            }),
            capacity: self.capacity,
            version: self.version.clone(),
            session_id: self.session_id,
            runner_id: self.id,
            owner: String::new(),
        };
        let registered = self.leases().register(registration).await?;
        Ok(registered.runner_id)
    }

    /// The same runner in a new process, which has not registered yet.
    pub(super) fn restarted(&self) -> Self {
        Self {
            session_id: SessionId(Uuid::new_v4()),
            version: format!("{}+", self.version),
            ..self.clone()
        }
    }

    /// Another runner, which has not registered yet.
    pub(super) fn unregistered(&self) -> Self {
        Self {
            id: None,
            ..self.restarted()
        }
    }

    /// The same process, connected to another engine.
    pub(super) fn at(&self, world: &World) -> Self {
        self.of(&world.engine)
    }

    pub(super) fn of(&self, engine: &Arc<Engine>) -> Self {
        Self {
            engine: Arc::downgrade(engine),
            ..self.clone()
        }
    }

    pub(super) async fn ask(
        &self,
        request_id: Uuid,
        max_wait: Duration,
    ) -> Result<Option<Lease>, LeaseError> {
        let request = WorkRequest {
            runner_id: self.id.unwrap(),
            session_id: self.session_id,
            request_id,
            max_wait,
            held_jobs: Vec::new(),
            leaving: false,
        };
        let acquired = self.leases().acquire(request).await?;
        Ok(acquired.lease)
    }

    pub(super) async fn take(&self, wait: Duration) -> Option<Lease> {
        self.ask(Uuid::new_v4(), wait).await.unwrap()
    }

    /// A confirmed lease.
    pub(super) async fn started(&self) -> Lease {
        let lease = self.take(TTL).await.unwrap();
        self.renew(lease.proof).await.unwrap();
        lease
    }

    pub(super) async fn renew(&self, proof: LeaseProof) -> Result<Renewed, LeaseError> {
        self.report(proof, Report::default()).await
    }

    pub(super) async fn report(
        &self,
        proof: LeaseProof,
        report: Report,
    ) -> Result<Renewed, LeaseError> {
        let leases = self.leases();
        let renewed = leases.renew(proof, report, Directive::Continue, Duration::ZERO);
        renewed.await
    }

    pub(super) async fn append(
        &self,
        proof: LeaseProof,
        offset: u64,
        data: &'static str,
    ) -> Result<Appended, LeaseError> {
        let append = LogAppend {
            offset,
            dropped: 0,
            data: Bytes::from_static(data.as_bytes()),
        };
        self.leases().append_log(proof, append).await
    }

    pub(super) async fn complete(
        &self,
        proof: LeaseProof,
        outcome: Outcome,
    ) -> Result<(), LeaseError> {
        let completion = Completion {
            outcome,
            exit_code: None,
            message: String::new(),
            log_size: 0,
            log_incomplete: true,
            commit_id: None,
        };
        self.leases().complete(proof, completion).await
    }
}
