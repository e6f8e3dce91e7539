//! Callers with credentials: a credentials file, and clients with tokens.

use std::{fmt::Write as _, fs, os::unix::fs::PermissionsExt, path::Path};

use pipewright::proto::{
    runner_v1::lease_service_client::LeaseServiceClient,
    v1::{
        admin_service_client::AdminServiceClient, job_service_client::JobServiceClient,
        pipeline_service_client::PipelineServiceClient,
        project_service_client::ProjectServiceClient, runner_service_client::RunnerServiceClient,
    },
};
use sha2::{Digest, Sha256};
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::Channel,
};
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;

use crate::service::Service;

/// The text of the token of a name.
pub(crate) fn token(name: &str) -> String {
    format!("pw_{}_{name}", id(name))
}

/// The token's id: letters and digits.
fn id(name: &str) -> String {
    name.replace('-', "")
}

/// Writes a credentials file with a token for each name. Each has one role in one
/// project, or in all for `*`.
pub(crate) fn write(path: &Path, known: &[(&str, &str, &str)]) {
    let mut text = String::new();
    for (name, project, role) in known {
        let mut hash = String::new();
        for byte in Sha256::digest(token(name)) {
            write!(hash, "{byte:02x}").unwrap();
        }
        write!(
            text,
            "[[tokens]]\nname = \"{name}\"\nid = \"{}\"\nsha256 = \"{hash}\"\n\
             roles = {{ \"{project}\" = [\"{role}\"] }}\n\n",
            id(name)
        )
        .unwrap();
    }
    // Renamed into place, so that a partial file is never read.
    let new = path.with_extension("new");
    fs::write(&new, text).unwrap();
    fs::set_permissions(&new, fs::Permissions::from_mode(0o600)).unwrap();
    fs::rename(new, path).unwrap();
}

/// Clients of a service that send the token of a name.
#[derive(Clone)]
pub(crate) struct As {
    pub(crate) channel: InterceptedService<Channel, Shows>,
}

impl As {
    pub(crate) fn new(service: &Service, name: &str) -> Self {
        let token = format!("Bearer {}", token(name)).parse().unwrap();
        Self::showing(service, Some(token))
    }

    pub(crate) fn anonymous(service: &Service) -> Self {
        Self::showing(service, None)
    }

    pub(crate) fn showing(service: &Service, value: Option<MetadataValue<Ascii>>) -> Self {
        Self {
            channel: InterceptedService::new(service.channel.clone(), Shows(value)),
        }
    }

    pub(crate) fn pipelines(&self) -> PipelineServiceClient<InterceptedService<Channel, Shows>> {
        PipelineServiceClient::new(self.channel.clone())
    }

    pub(crate) fn jobs(&self) -> JobServiceClient<InterceptedService<Channel, Shows>> {
        JobServiceClient::new(self.channel.clone())
    }

    pub(crate) fn projects(&self) -> ProjectServiceClient<InterceptedService<Channel, Shows>> {
        ProjectServiceClient::new(self.channel.clone())
    }

    pub(crate) fn runners(&self) -> RunnerServiceClient<InterceptedService<Channel, Shows>> {
        RunnerServiceClient::new(self.channel.clone())
    }

    pub(crate) fn admin(&self) -> AdminServiceClient<InterceptedService<Channel, Shows>> {
        AdminServiceClient::new(self.channel.clone())
    }

    pub(crate) fn reflection(&self) -> ServerReflectionClient<InterceptedService<Channel, Shows>> {
        ServerReflectionClient::new(self.channel.clone())
    }

    pub(crate) fn leases(&self) -> LeaseServiceClient<InterceptedService<Channel, Shows>> {
        LeaseServiceClient::new(self.channel.clone())
    }
}

#[derive(Clone)]
pub(crate) struct Shows(Option<MetadataValue<Ascii>>);

impl Interceptor for Shows {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(value) = &self.0 {
            request
                .metadata_mut()
                .insert("authorization", value.clone());
        }
        Ok(request)
    }
}
