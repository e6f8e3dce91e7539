//! Client of the service: one connection, deadlines, retries.

use std::{future::Future, time::Duration};

use tonic::{Code, Response, Status, service::interceptor::InterceptedService};
use tonic_types::StatusExt;

use crate::{
    cli::{
        connect::{backoff::Backoff, caller::Headers, connection::Connection, unreachable},
        exit::Failure,
    },
    proto::v1::{
        admin_service_client::AdminServiceClient, job_service_client::JobServiceClient,
        pipeline_service_client::PipelineServiceClient,
        project_service_client::ProjectServiceClient, runner_service_client::RunnerServiceClient,
    },
    transport::CheckedChannel,
};

/// Attempts of a call while the service is unavailable.
const TRIES: usize = 5;
/// A follow of 200 stages holds as many streams: `stream window * streams` is
/// at most half the connection window, so that stalled ones never hang the rest.
const STREAM_WINDOW: u32 = 64 * 1024;
const CONNECTION_WINDOW: u32 = 2 * 256 * STREAM_WINDOW;

type Transport = InterceptedService<CheckedChannel, Headers>;

/// Clients of the services on one connection; cheap to clone.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) pipelines: PipelineServiceClient<Transport>,
    pub(crate) jobs: JobServiceClient<Transport>,
    pub(crate) runners: RunnerServiceClient<Transport>,
    pub(crate) projects: ProjectServiceClient<Transport>,
    pub(crate) admin: AdminServiceClient<Transport>,
    connection: Connection,
    timeout: Duration,
}

impl Client {
    /// Connects with the first call.
    pub(crate) fn new(connection: Connection, timeout: Duration) -> Self {
        let endpoint = connection
            .endpoint
            .clone()
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW);
        let channel = CheckedChannel::connect_lazy(&endpoint);
        let transport = InterceptedService::new(channel, connection.headers.clone());
        Self {
            pipelines: PipelineServiceClient::new(transport.clone()),
            jobs: JobServiceClient::new(transport.clone()),
            runners: RunnerServiceClient::new(transport.clone()),
            projects: ProjectServiceClient::new(transport.clone()),
            admin: AdminServiceClient::new(transport),
            connection,
            timeout,
        }
    }

    /// Sends a request, with retries while the service is unreachable, all within the time
    /// limit. Safe for calls that change something, as the request has its `request_id`. For
    /// a stream the limit covers only its start.
    ///
    /// The limit applies here and is not sent: a call that times out is reset, which the
    /// server sees.
    pub(crate) async fn call<Q, R, F>(
        &self,
        request: Q,
        send: impl Fn(Self, Q) -> F,
    ) -> Result<R, Failure>
    where
        Q: Clone,
        F: Future<Output = Result<Response<R>, Status>>,
    {
        let tries = retry(|| send(self.clone(), request.clone()));
        match tokio::time::timeout(self.timeout, tries).await {
            Ok(Ok(answer)) => Ok(answer.into_inner()),
            Ok(Err(status)) => Err(self.connection.failure(status)),
            Err(_) => Err(deadline_exceeded(self.timeout).into()),
        }
    }
}

/// The status of a call that took too long.
pub(crate) fn deadline_exceeded(timeout: Duration) -> Status {
    let timeout = humantime::format_duration(timeout);
    Status::deadline_exceeded(format!("no answer within {timeout} (--timeout)"))
}

async fn retry<R, F>(send: impl Fn() -> F) -> Result<R, Status>
where
    F: Future<Output = Result<R, Status>>,
{
    let mut backoff = Backoff::default();
    for _ in 1..TRIES {
        match send().await {
            Err(status) if is_passing(&status) => {
                tokio::time::sleep(backoff.after(&status)).await;
            }
            answer => return answer,
        }
    }
    send().await
}

/// Whether a retry may succeed: a wrong certificate stays wrong, and the library reports a
/// connection that broke during the call as UNKNOWN.
fn is_passing(status: &Status) -> bool {
    let is_unavailable =
        status.code() == Code::Unavailable || unreachable::broken_off(status).is_some();
    is_unavailable && unreachable::explain(status).is_none()
}

/// Whether a watch that ended with this status must not be resumed, by its contract.
pub(crate) fn is_final(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::NotFound
            | Code::PermissionDenied
            | Code::Unauthenticated
            | Code::InvalidArgument
            | Code::Unimplemented
    )
}

/// Whether a stream ended only because it reached the maximum age of streams, which is not
/// reported to its reader.
pub(crate) fn is_aged(status: &Status) -> bool {
    let info = status.get_details_error_info();
    info.is_some_and(|info| info.reason == "STREAM_AGED")
}

/// A new idempotency key for all attempts of one call.
pub(crate) fn request_id() -> String {
    uuid::Uuid::new_v4().to_string()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    async fn tries_of(code: Code) -> usize {
        let tries = Cell::new(0);
        let answer: Result<(), _> = retry(async || {
            tries.set(tries.get() + 1);
            Err(Status::new(code, ""))
        })
        .await;
        assert!(answer.is_err());
        tries.get()
    }

    #[tokio::test]
    async fn only_unavailable_is_tried_again_and_not_for_ever() {
        assert_eq!(tries_of(Code::Unavailable).await, TRIES);
        assert_eq!(tries_of(Code::Internal).await, 1);
        assert_eq!(tries_of(Code::Aborted).await, 1);
    }
}
