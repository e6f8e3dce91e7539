//! The runner's side of leases, for the runners of one principal.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;

use crate::domain::{
    RunnerId, SessionId,
    lease::{
        Acquired, Appended, Completion, Directive, LeaseProof, LogAppend, Registered, Registration,
        Renewed, Report, WorkRequest,
    },
};

use super::{LeaseError, Leases, Runners};

/// The leases of the runners that one principal registered. Runners, sessions and leases of
/// other principals do not exist here: a call that names one gets the answer of a call that
/// names none, also if it has the id and the fencing token of a lease.
pub struct PrincipalLeases {
    runners: Arc<Runners>,
    principal: Arc<str>,
}

impl Runners {
    /// The leases of a principal's runners.
    pub fn leases_of(self: &Arc<Self>, principal: &str) -> PrincipalLeases {
        PrincipalLeases {
            runners: Arc::clone(self),
            principal: principal.into(),
        }
    }

    /// The leases of the runner in the service's own process, which no principal owns.
    pub fn embedded_leases(self: &Arc<Self>) -> PrincipalLeases {
        self.leases_of("")
    }
}

#[async_trait]
impl Leases for PrincipalLeases {
    async fn register(&self, runner: Registration) -> Result<Registered, LeaseError> {
        let owner = self.principal.to_string();
        self.runners
            .register(Registration { owner, ..runner })
            .await
    }

    async fn acquire(&self, request: WorkRequest) -> Result<Acquired, LeaseError> {
        self.runners.acquired(&self.principal, request).await
    }

    async fn deregister(&self, id: RunnerId, session_id: SessionId) -> Result<(), LeaseError> {
        let runners = &self.runners;
        runners.deregister(&self.principal, id, session_id).await
    }

    async fn renew(
        &self,
        proof: LeaseProof,
        report: Report,
        known: Directive,
        max_wait: Duration,
    ) -> Result<Renewed, LeaseError> {
        let renewed = self
            .runners
            .renew(&self.principal, proof, report, known, max_wait);
        renewed.await
    }

    async fn append_log(
        &self,
        proof: LeaseProof,
        append: LogAppend,
    ) -> Result<Appended, LeaseError> {
        self.runners
            .append_log(&self.principal, proof, append)
            .await
    }

    async fn complete(&self, proof: LeaseProof, completion: Completion) -> Result<(), LeaseError> {
        let completed = self.runners.complete(&self.principal, proof, completion);
        completed.await
    }
}
