//! A service that records the credentials and headers of callers, with TLS if a
//! test needs it.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use pipewright::proto::runner_v1::{
    self as api,
    lease_service_server::{LeaseService, LeaseServiceServer},
};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tokio::{net::TcpListener, runtime::Runtime};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{
    Request, Response, Status,
    metadata::MetadataMap,
    service::InterceptorLayer,
    transport::{Certificate, Identity, Server, ServerTlsConfig},
};

/// What the service requires of a caller.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wants {
    Nothing,
    /// An `authorization` header with this value.
    Authorization(&'static str),
}

/// The service; it ends with the test.
pub(crate) struct Recorder {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<MetadataMap>>>,
    _runtime: Runtime,
}

impl Recorder {
    pub(crate) fn start(wants: Wants) -> Self {
        Self::serve(wants, None)
    }

    pub(crate) fn start_tls(tls: ServerTlsConfig) -> Self {
        Self::serve(Wants::Nothing, Some(tls))
    }

    fn serve(wants: Wants, tls: Option<ServerTlsConfig>) -> Self {
        let runtime = Runtime::new().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let notes = Arc::clone(&seen);
        let record = move |request: Request<()>| {
            notes.lock().unwrap().push(request.metadata().clone());
            let sent = request.metadata().get("authorization");
            match wants {
                Wants::Authorization(value) if sent.is_none_or(|sent| sent != value) => {
                    Err(Status::unauthenticated("who is there?"))
                }
                _ => Ok(request),
            }
        };
        let mut server = Server::builder();
        if let Some(tls) = tls {
            server = server.tls_config(tls).unwrap();
        }
        let (reporter, health) = tonic_health::server::health_reporter();
        let serving = server
            .layer(InterceptorLayer::new(record))
            .add_service(health)
            .add_service(LeaseServiceServer::new(Leases))
            .serve_with_incoming(TcpListenerStream::new(listener));
        runtime.spawn(async move {
            // Dropping it would remove the health status.
            let _reporter = reporter;
            serving.await.unwrap();
        });
        Self {
            address,
            seen,
            _runtime: runtime,
        }
    }

    /// A header of each call since the last time.
    pub(crate) fn take(&self, header: &str) -> Vec<Option<String>> {
        let seen = std::mem::take(&mut *self.seen.lock().unwrap());
        let value = |call: &MetadataMap| Some(call.get(header)?.to_str().unwrap().to_owned());
        seen.iter().map(value).collect()
    }
}

/// Accepts every runner, and has no work for any.
struct Leases;

#[tonic::async_trait]
impl LeaseService for Leases {
    async fn register_runner(
        &self,
        _: Request<api::RegisterRunnerRequest>,
    ) -> Result<Response<api::RegisterRunnerResponse>, Status> {
        let minute = prost_types::Duration {
            seconds: 60,
            nanos: 0,
        };
        Ok(Response::new(api::RegisterRunnerResponse {
            runner_id: "01a1fe37-2f36-733e-8473-bebee6aa9f02".to_owned(),
            lease_ttl: Some(minute),
            max_log_chunk_bytes: 64 * 1024,
        }))
    }

    async fn acquire_lease(
        &self,
        _: Request<api::AcquireLeaseRequest>,
    ) -> Result<Response<api::AcquireLeaseResponse>, Status> {
        std::future::pending().await
    }

    async fn renew_lease(
        &self,
        _: Request<api::RenewLeaseRequest>,
    ) -> Result<Response<api::RenewLeaseResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn append_log(
        &self,
        _: Request<api::AppendLogRequest>,
    ) -> Result<Response<api::AppendLogResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn deregister_runner(
        &self,
        _: Request<api::DeregisterRunnerRequest>,
    ) -> Result<Response<api::DeregisterRunnerResponse>, Status> {
        Ok(Response::new(api::DeregisterRunnerResponse {}))
    }

    async fn complete_lease(
        &self,
        _: Request<api::CompleteLeaseRequest>,
    ) -> Result<Response<api::CompleteLeaseResponse>, Status> {
        Err(Status::unimplemented(""))
    }
}

/// A certificate authority for a test.
pub(crate) struct Authority {
    /// Its own certificate, as PEM.
    pub(crate) pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let pem = params.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(params, key);
        Self { pem, issuer }
    }

    /// A certificate for this name, and its key, both as PEM.
    pub(crate) fn sign(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    /// Server TLS with a certificate for this name.
    pub(crate) fn tls(&self, name: &str) -> ServerTlsConfig {
        let (certificate, key) = self.sign(name);
        ServerTlsConfig::new().identity(Identity::from_pem(certificate, key))
    }

    /// Server TLS with a certificate for this name that requires a client certificate.
    pub(crate) fn mutual_tls(&self, name: &str) -> ServerTlsConfig {
        self.tls(name)
            .client_ca_root(Certificate::from_pem(&self.pem))
    }
}
