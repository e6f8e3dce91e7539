use std::sync::Arc;

use tonic::{Request, Response, Status, async_trait};

use crate::{
    engine::Leases,
    proto::{
        lease::{
            Renewal, acquired_to_proto, append_from_proto, appended_to_proto,
            completion_from_proto, registered_to_proto, registration_from_proto,
            renewal_from_proto, renewed_to_proto, work_request_from_proto,
        },
        runner_v1::{self as v1, lease_service_server::LeaseService},
    },
};

use super::{middleware::audit::Audit, request::open, status::invalid};

/// `pipewright.runner.v1.LeaseService`.
pub struct LeaseCalls {
    leases: Arc<dyn Leases>,
}

impl LeaseCalls {
    /// The service of whoever hands out the work.
    pub fn new(leases: Arc<dyn Leases>) -> Self {
        Self { leases }
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
        let owner = call.authority.principal.name.clone();
        let runner = registration_from_proto(message, owner).map_err(invalid)?;
        let registered = self.leases.register(runner).await?;
        audit.about("runner", &registered.runner_id.to_string());
        Ok(Response::new(registered_to_proto(registered)))
    }

    async fn acquire_lease(
        &self,
        request: Request<v1::AcquireLeaseRequest>,
    ) -> Result<Response<v1::AcquireLeaseResponse>, Status> {
        let request = work_request_from_proto(request.into_inner()).map_err(invalid)?;
        let acquired = self.leases.acquire(request).await?;
        Ok(Response::new(acquired_to_proto(acquired)))
    }

    async fn renew_lease(
        &self,
        request: Request<v1::RenewLeaseRequest>,
    ) -> Result<Response<v1::RenewLeaseResponse>, Status> {
        let Renewal {
            proof,
            report,
            known,
            max_wait,
        } = renewal_from_proto(request.into_inner()).map_err(invalid)?;
        let renewed = self.leases.renew(proof, report, known, max_wait).await?;
        Ok(Response::new(renewed_to_proto(renewed)))
    }

    async fn append_log(
        &self,
        request: Request<v1::AppendLogRequest>,
    ) -> Result<Response<v1::AppendLogResponse>, Status> {
        let (proof, append) = append_from_proto(request.into_inner()).map_err(invalid)?;
        let appended = self.leases.append_log(proof, append).await?;
        Ok(Response::new(appended_to_proto(appended)))
    }

    async fn complete_lease(
        &self,
        request: Request<v1::CompleteLeaseRequest>,
    ) -> Result<Response<v1::CompleteLeaseResponse>, Status> {
        let (proof, completion) = completion_from_proto(request.into_inner()).map_err(invalid)?;
        self.leases.complete(proof, completion).await?;
        Ok(Response::new(v1::CompleteLeaseResponse {}))
    }
}
