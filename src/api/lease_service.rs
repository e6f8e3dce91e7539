use std::sync::Arc;

use tonic::{Request, Response, Status, async_trait};

use crate::{
    auth::Role,
    engine::{Call, Leases, PrincipalLeases, Runners},
    proto::{
        lease::{
            Renewal, acquired_to_proto, append_from_proto, appended_to_proto,
            completion_from_proto, deregistration_from_proto, registered_to_proto,
            registration_from_proto, renewal_from_proto, renewed_to_proto, work_request_from_proto,
        },
        runner_v1::{self as v1, lease_service_server::LeaseService},
    },
};

use super::{
    middleware::audit::Audit,
    request::open,
    status::{invalid, role_required},
};

/// `pipewright.runner.v1.LeaseService`.
pub struct LeaseCalls {
    runners: Arc<Runners>,
}

impl LeaseCalls {
    /// The service of an engine's runners.
    pub fn new(runners: Arc<Runners>) -> Self {
        Self { runners }
    }

    /// The leases that a caller may use: those of its own runners.
    fn leases_of(&self, call: &Call) -> Result<PrincipalLeases, Status> {
        match call.principal() {
            // The embedded runner makes no calls, so this one did not pass the middleware.
            "" => Err(role_required(Role::Runner, "all projects")),
            principal => Ok(self.runners.leases_of(principal)),
        }
    }
}

#[async_trait]
impl LeaseService for LeaseCalls {
    async fn register_runner(
        &self,
        request: Request<v1::RegisterRunnerRequest>,
    ) -> Result<Response<v1::RegisterRunnerResponse>, Status> {
        let audit = Audit::of(&request);
        let (call, message) = open(request);
        let runner = registration_from_proto(message).map_err(invalid)?;
        let registered = self.leases_of(&call)?.register(runner).await?;
        audit.about("runner", &registered.runner_id.to_string());
        Ok(Response::new(registered_to_proto(registered)))
    }

    async fn acquire_lease(
        &self,
        request: Request<v1::AcquireLeaseRequest>,
    ) -> Result<Response<v1::AcquireLeaseResponse>, Status> {
        let (call, message) = open(request);
        let request = work_request_from_proto(message).map_err(invalid)?;
        let acquired = self.leases_of(&call)?.acquire(request).await?;
        Ok(Response::new(acquired_to_proto(acquired)))
    }

    async fn renew_lease(
        &self,
        request: Request<v1::RenewLeaseRequest>,
    ) -> Result<Response<v1::RenewLeaseResponse>, Status> {
        let (call, message) = open(request);
        let Renewal {
            proof,
            report,
            known,
            max_wait,
        } = renewal_from_proto(message).map_err(invalid)?;
        let leases = self.leases_of(&call)?;
        let renewed = leases.renew(proof, report, known, max_wait).await?;
        Ok(Response::new(renewed_to_proto(renewed)))
    }

    async fn append_log(
        &self,
        request: Request<v1::AppendLogRequest>,
    ) -> Result<Response<v1::AppendLogResponse>, Status> {
        let (call, message) = open(request);
        let (proof, append) = append_from_proto(message).map_err(invalid)?;
        let appended = self.leases_of(&call)?.append_log(proof, append).await?;
        Ok(Response::new(appended_to_proto(appended)))
    }

    async fn complete_lease(
        &self,
        request: Request<v1::CompleteLeaseRequest>,
    ) -> Result<Response<v1::CompleteLeaseResponse>, Status> {
        let (call, message) = open(request);
        let (proof, completion) = completion_from_proto(message).map_err(invalid)?;
        self.leases_of(&call)?.complete(proof, completion).await?;
        Ok(Response::new(v1::CompleteLeaseResponse {}))
    }

    async fn deregister_runner(
        &self,
        request: Request<v1::DeregisterRunnerRequest>,
    ) -> Result<Response<v1::DeregisterRunnerResponse>, Status> {
        let audit = Audit::of(&request);
        let (call, message) = open(request);
        audit.about("runner", &message.runner_id);
        let (runner_id, session_id) = deregistration_from_proto(message).map_err(invalid)?;
        let leases = self.leases_of(&call)?;
        leases.deregister(runner_id, session_id).await?;
        Ok(Response::new(v1::DeregisterRunnerResponse {}))
    }
}
