//! The services, and what every call of them passes on its way in.

use std::sync::Arc;

use http::HeaderMap;
use tonic::service::Routes;
use tonic_health::{ServingStatus, server::HealthReporter};
use tonic_web::GrpcWebLayer;
use tower::ServiceBuilder;

use crate::{
    api::{
        AuditLayer, AuthLayer, DeadlineLayer, Jobs, LeaseCalls, MessageLimitLayer, ObserveLayer,
        Pipelines, QuotaLayer, Reason, ReceiptLayer, RefusalLayer, Runners, refused_in_front,
    },
    auth::Authenticator,
    config::Limits,
    engine::Engine,
    http::{Calls, Refusal, Rule},
    wire::{
        FILE_DESCRIPTOR_SET,
        runner_v1::lease_service_server::{LeaseServiceServer, SERVICE_NAME as LEASE_SERVICE},
        v1::{
            job_service_server::{JobServiceServer, SERVICE_NAME as JOB_SERVICE},
            pipeline_service_server::{PipelineServiceServer, SERVICE_NAME as PIPELINE_SERVICE},
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
) -> Result<(HealthReporter, impl Calls<Body = tonic::body::Body>), ServeError> {
    let (health, health_service) = tonic_health::server::health_reporter();
    set_health(&health, ServingStatus::Serving).await;
    // The codec's own limit is no smaller than any that a method has.
    let max = usize::try_from(limits.max_message).unwrap_or(usize::MAX);
    let pipelines = PipelineServiceServer::new(Pipelines::new(Arc::clone(engine)));
    let jobs = JobServiceServer::new(Jobs::new(Arc::clone(engine)));
    let runners = RunnerServiceServer::new(Runners::new(Arc::clone(engine)));
    let leases = LeaseServiceServer::new(LeaseCalls::new(engine.clone()));
    let mut routes = Routes::new(health_service)
        .add_service(pipelines.max_decoding_message_size(max))
        .add_service(jobs.max_decoding_message_size(max))
        .add_service(runners.max_decoding_message_size(max))
        .add_service(leases.max_decoding_message_size(max));
    if with_reflection {
        routes = routes
            .add_service(reflection().build_v1()?)
            .add_service(reflection().build_v1alpha()?);
    }
    let calls = ServiceBuilder::new()
        // Outermost, so that what the others refuse reaches browsers, too.
        .layer(GrpcWebLayer::new())
        .layer(ObserveLayer::default())
        .layer(RefusalLayer)
        .layer(DeadlineLayer::new(limits.max_stream_age))
        .layer(AuthLayer::new(authenticator))
        .layer(QuotaLayer::new(
            limits.max_streams_per_principal,
            limits.max_requests_per_second,
        ))
        // Inside the quota: whoever is over it cannot fill the log.
        .layer(AuditLayer)
        .layer(ReceiptLayer::new(limits.message_timeout))
        .layer(MessageLimitLayer::new(limits.max_message))
        .service(routes.prepare());
    Ok((health, calls))
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
        LEASE_SERVICE,
    ] {
        health.set_service_status(service, status).await;
    }
}

/// Says in gRPC what the front refuses.
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

    /// The front counts by its own word, and callers read the API's.
    #[test]
    fn what_the_front_counts_is_what_callers_read() {
        for rule in [Rule::Connections, Rule::Hosts, Rule::Origins] {
            assert_eq!(rule.reason(), reason(rule).name());
        }
    }
}
