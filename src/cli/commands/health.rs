//! `pipewright health`, which is also the health check of a container.

use std::collections::BTreeMap;

use clap::Args;
use tonic::Request;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use crate::{
    cli::{
        connect::{client::deadline_exceeded, connection::Connection, remote::Remote},
        exit::{Exit, Failure},
        present::{format::Format, json, out},
    },
    transport::CheckedChannel,
};

/// Check whether the service is serving; the exit code is 0 if it is, otherwise 7
#[derive(Args, Debug)]
pub(crate) struct HealthArgs {
    #[command(flatten)]
    remote: Remote,
}

/// Without retries: a health check asks for the current state.
pub(crate) async fn health(args: HealthArgs, format: Format) -> Result<Exit, Failure> {
    let connection = args.remote.connection()?;
    let timeout = args.remote.timeout;
    let status = tokio::time::timeout(timeout, check(&connection)).await;
    let status = status.map_err(|_| deadline_exceeded(timeout))??;
    let name = status.as_str_name();
    out::print_line(&match format {
        Format::Table => name.to_owned(),
        Format::Json => json::compact_value(&BTreeMap::from([("status", name)])),
    })?;
    Ok(match status {
        ServingStatus::Serving => Exit::Ok,
        _ => Exit::Unavailable,
    })
}

async fn check(connection: &Connection) -> Result<ServingStatus, Failure> {
    let channel = CheckedChannel::connect_lazy(&connection.endpoint);
    let mut client = HealthClient::with_interceptor(channel, connection.headers.clone());
    let request = Request::new(HealthCheckRequest::default());
    let checked = client.check(request).await;
    let checked = checked.map_err(|status| connection.failure(status))?;
    Ok(checked.into_inner().status())
}
