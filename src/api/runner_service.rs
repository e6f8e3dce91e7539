use std::sync::Arc;

use prost::Message;
use tonic::{Request, Response, Status, async_trait};

use crate::{
    domain::RunnerId,
    engine::Engine,
    proto::v1::{self, runner_service_server::RunnerService},
};

use super::{
    middleware::audit::Audit,
    page::PageRequest,
    request::{id, yield_to_others},
    views::runner_to_proto,
};

/// `pipewright.v1.RunnerService`.
pub struct Runners {
    engine: Arc<Engine>,
}

impl Runners {
    pub fn new(engine: Arc<Engine>) -> Self {
        Self { engine }
    }

    async fn drain(
        &self,
        audit: &Audit,
        runner_id: &str,
        drain: bool,
    ) -> Result<Option<v1::Runner>, Status> {
        audit.about("runner", runner_id);
        let id = id("runner_id", runner_id)?;
        let runner = self.engine.runners().drain(id, drain).await?;
        Ok(Some(runner_to_proto(runner)))
    }
}

#[async_trait]
impl RunnerService for Runners {
    async fn get_runner(
        &self,
        request: Request<v1::GetRunnerRequest>,
    ) -> Result<Response<v1::GetRunnerResponse>, Status> {
        let v1::GetRunnerRequest { runner_id } = request.into_inner();
        let runner = self
            .engine
            .runners()
            .get(id("runner_id", &runner_id)?)
            .await?;
        let runner = Some(runner_to_proto(runner));
        Ok(Response::new(v1::GetRunnerResponse { runner }))
    }

    async fn list_runners(
        &self,
        request: Request<v1::ListRunnersRequest>,
    ) -> Result<Response<v1::ListRunnersResponse>, Status> {
        yield_to_others().await;
        let v1::ListRunnersRequest {
            page_size,
            page_token,
        } = request.into_inner();
        let filters = v1::ListRunnersRequest::default();
        let page = PageRequest::new("ListRunners", page_size, &page_token, &filters)?;
        let after = page.after.map(RunnerId);
        let found = self.engine.runners().list(after, page.lookahead()).await?;
        let (runners, next_page_token) = page.cut(
            found
                .into_iter()
                .map(|runner| (runner.id.0, runner_to_proto(runner))),
            v1::Runner::encoded_len,
        );
        Ok(Response::new(v1::ListRunnersResponse {
            runners,
            next_page_token,
        }))
    }

    async fn drain_runner(
        &self,
        request: Request<v1::DrainRunnerRequest>,
    ) -> Result<Response<v1::DrainRunnerResponse>, Status> {
        let audit = Audit::of(&request);
        let v1::DrainRunnerRequest { runner_id } = request.into_inner();
        let runner = self.drain(&audit, &runner_id, true).await?;
        Ok(Response::new(v1::DrainRunnerResponse { runner }))
    }

    async fn resume_runner(
        &self,
        request: Request<v1::ResumeRunnerRequest>,
    ) -> Result<Response<v1::ResumeRunnerResponse>, Status> {
        let audit = Audit::of(&request);
        let v1::ResumeRunnerRequest { runner_id } = request.into_inner();
        let runner = self.drain(&audit, &runner_id, false).await?;
        Ok(Response::new(v1::ResumeRunnerResponse { runner }))
    }
}
