//! The services behind the middleware, as gRPC and gRPC-Web.

use std::{
    convert::Infallible,
    error::Error,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::FutureExt;
use http::{HeaderMap, HeaderValue, Request, Response, header};
use http_body_util::Either;
use hyper::body::Incoming;
use tonic::{body::Body, codegen::BoxFuture, service::Routes};
use tonic_health::{ServingStatus, server::HealthReporter};
use tonic_web::{GrpcWebLayer, GrpcWebService};
use tower::{Layer, Service, ServiceExt};

use crate::{
    api::{
        Admin, Jobs, LeaseCalls, Middleware, MiddlewareLimits, Pipelines, Projects, Reason,
        ResponseBody, Runners, WebText, refused_in_front,
    },
    auth::Authenticator,
    config::Limits,
    engine::Engine,
    http::{Calls, Refusal, Rule},
    proto::{
        FILE_DESCRIPTOR_SET,
        runner_v1::lease_service_server::{LeaseServiceServer, SERVICE_NAME as LEASE_SERVICE},
        v1::{
            admin_service_server::{AdminServiceServer, SERVICE_NAME as ADMIN_SERVICE},
            job_service_server::{JobServiceServer, SERVICE_NAME as JOB_SERVICE},
            pipeline_service_server::{PipelineServiceServer, SERVICE_NAME as PIPELINE_SERVICE},
            project_service_server::{ProjectServiceServer, SERVICE_NAME as PROJECT_SERVICE},
            runner_service_server::{RunnerServiceServer, SERVICE_NAME as RUNNER_SERVICE},
        },
    },
};

use super::ServeError;

/// The services, as gRPC and gRPC-Web.
pub(super) async fn services(
    engine: &Arc<Engine>,
    authenticator: Arc<Authenticator>,
    limits: &Limits,
    with_reflection: bool,
) -> Result<(HealthReporter, impl Calls), ServeError> {
    let (health, health_service) = tonic_health::server::health_reporter();
    set_health(&health, ServingStatus::Serving).await;
    // The limit of the codec is at least that of every method.
    let max = usize::try_from(limits.max_message).unwrap_or(usize::MAX);
    let pipelines = PipelineServiceServer::new(Pipelines::new(Arc::clone(engine)));
    let jobs = JobServiceServer::new(Jobs::new(Arc::clone(engine)));
    let runners = RunnerServiceServer::new(Runners::new(Arc::clone(engine)));
    let projects = ProjectServiceServer::new(Projects::new(Arc::clone(engine)));
    let admin = AdminServiceServer::new(Admin::new(Arc::clone(engine)));
    let leases = LeaseServiceServer::new(LeaseCalls::new(Arc::clone(engine.runners())));
    let mut others = Routes::new(health_service);
    if with_reflection {
        others = others
            .add_service(reflection().build_v1()?)
            .add_service(reflection().build_v1alpha()?);
    }
    let services = Services {
        pipelines: pipelines.max_decoding_message_size(max),
        jobs: jobs.max_decoding_message_size(max),
        runners: runners.max_decoding_message_size(max),
        projects: projects.max_decoding_message_size(max),
        admin: admin.max_decoding_message_size(max),
        leases: leases.max_decoding_message_size(max),
        others: others.prepare(),
    };
    let limits = MiddlewareLimits {
        max_streams_per_principal: limits.max_streams_per_principal,
        max_requests_per_second: limits.max_requests_per_second,
        max_stream_age: limits.max_stream_age,
        message_timeout: limits.message_timeout,
        max_message: limits.max_message,
    };
    let grpc = Middleware::new(
        Shared(Arc::new(services)),
        authenticator,
        limits,
        engine.durability(),
    );
    let grpc_web = GrpcWebLayer::new().layer(grpc.clone());
    Ok((health, Gates { grpc, grpc_web }))
}

/// The services by name. Those of the contract bypass tonic's router, as most calls are for
/// them.
struct Services {
    pipelines: PipelineServiceServer<Pipelines>,
    jobs: JobServiceServer<Jobs>,
    runners: RunnerServiceServer<Runners>,
    projects: ProjectServiceServer<Projects>,
    admin: AdminServiceServer<Admin>,
    leases: LeaseServiceServer<LeaseCalls>,
    /// Health and reflection.
    others: Routes,
}

#[derive(Clone)]
struct Shared(Arc<Services>);

impl<B> Service<Request<B>> for Shared
where
    B: http_body::Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>> + Send>
        + Send
        + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let path = request.uri().path();
        let (service, _) = path[1..].split_once('/').unwrap_or_default();
        match service {
            PIPELINE_SERVICE => self.0.pipelines.clone().call(request),
            JOB_SERVICE => self.0.jobs.clone().call(request),
            RUNNER_SERVICE => self.0.runners.clone().call(request),
            PROJECT_SERVICE => self.0.projects.clone().call(request),
            ADMIN_SERVICE => self.0.admin.clone().call(request),
            LEASE_SERVICE => self.0.leases.clone().call(request),
            _ => Box::pin(self.0.others.clone().oneshot(request)),
        }
    }
}

/// The middleware for gRPC and gRPC-Web. The gRPC-Web layer is outside of it, so that
/// refusals reach browsers, too.
struct Gates {
    grpc: Middleware<Shared>,
    grpc_web: GrpcWebService<Middleware<Shared>>,
}

impl Calls for Gates {
    type Body = Either<ResponseBody, Body>;

    fn grpc(
        &self,
        request: Request<Incoming>,
    ) -> impl Future<Output = Response<Self::Body>> + Send + 'static {
        self.grpc
            .call(request)
            .map(|answer| answer.map(Either::Left))
    }

    fn grpc_web(
        &self,
        mut request: Request<Incoming>,
        is_text: bool,
    ) -> impl Future<Output = Response<Self::Body>> + Send + 'static {
        canonical(&mut request, is_text);
        let answer = self.grpc_web.clone().oneshot(request);
        answer.map(|Ok(answer)| answer.map(Either::Right))
    }
}

/// The headers for tonic-web. It would refuse Base64 text in several padded chunks, so it
/// gets every body as binary, and the middleware decodes text.
fn canonical(request: &mut Request<Incoming>, is_text: bool) {
    const BINARY: HeaderValue = HeaderValue::from_static("application/grpc-web+proto");
    const TEXT: HeaderValue = HeaderValue::from_static("application/grpc-web-text+proto");
    let headers = request.headers_mut();
    headers.insert(header::CONTENT_TYPE, BINARY);
    let accepted = headers.get(header::ACCEPT).map(HeaderValue::as_bytes);
    let wants_text = match accepted.map(<[u8]>::to_ascii_lowercase) {
        Some(accepted) if accepted.starts_with(b"application/grpc-web") => {
            accepted.starts_with(b"application/grpc-web-text")
        }
        _ => is_text,
    };
    headers.insert(header::ACCEPT, if wants_text { TEXT } else { BINARY });
    if is_text {
        request.extensions_mut().insert(WebText);
    }
}

fn reflection() -> tonic_reflection::server::Builder<'static> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        // With these, generic clients such as grpcurl show the details of errors.
        .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
}

pub(super) async fn set_health(health: &HealthReporter, status: ServingStatus) {
    for service in [
        "",
        PIPELINE_SERVICE,
        JOB_SERVICE,
        RUNNER_SERVICE,
        PROJECT_SERVICE,
        ADMIN_SERVICE,
        LEASE_SERVICE,
    ] {
        health.set_service_status(service, status).await;
    }
}

/// Converts the router's refusals to gRPC.
pub(super) fn refuse(refusal: &Refusal) -> HeaderMap {
    refused_in_front(reason(refusal.rule), &refusal.message, refusal.setting)
}

fn reason(rule: Rule) -> Reason {
    match rule {
        Rule::Connections => Reason::TooManyConnections,
        Rule::Hosts => Reason::HostNotAllowed,
        Rule::Origins => Reason::OriginNotAllowed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The router counts refusals by its own names, and callers read those of the API.
    #[test]
    fn the_routers_reasons_are_those_of_the_api() {
        for rule in [Rule::Connections, Rule::Hosts, Rule::Origins] {
            assert_eq!(rule.reason(), reason(rule).name());
        }
    }
}
