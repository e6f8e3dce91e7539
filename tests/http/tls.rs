//! Certificates of the service and of its clients.

use std::{fs, net::SocketAddr, os::unix::fs::PermissionsExt, path::PathBuf, sync::Arc};

use bytes::Bytes;
use http::Request;
use hyper::body::Incoming;
use pipewright::{auth::Peer, config::Tls, http::Certificates};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tonic::transport::{Certificate, Channel, ClientTlsConfig};

use crate::{
    calls,
    raw::until_closed,
    world::{PATIENCE, World, cancel, end, list, waiting_job, watch as watch_job},
};

/// A certificate authority, and the files of a service with a certificate of it.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    directory: TempDir,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = Self {
            issuer: CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap(),
            directory: tempfile::tempdir().unwrap(),
        };
        authority.write("ca.pem", &authority.issuer.pem());
        authority.renew();
        authority
    }

    fn issue(&self) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }

    /// Issues a new certificate to the service.
    fn renew(&self) -> CertificateDer<'static> {
        let (certificate, key) = self.issue();
        self.write("key.pem", &key.serialize_pem());
        self.write("cert.pem", &certificate.pem());
        certificate.der().clone()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Like a careful program: writes a temporary file and renames it.
    fn write(&self, name: &str, text: &str) {
        let new = self.path("new");
        fs::write(&new, text).unwrap();
        fs::set_permissions(&new, fs::Permissions::from_mode(0o600)).unwrap();
        fs::rename(new, self.path(name)).unwrap();
    }

    fn tls(&self) -> Tls {
        Tls {
            certificate: self.path("cert.pem"),
            key: self.path("key.pem"),
            client_ca: None,
            require_client_certificate: false,
        }
    }

    async fn serve(&self, adjust: impl FnOnce(&mut Tls)) -> World {
        let mut tls = self.tls();
        adjust(&mut tls);
        World::with(|config| config.tls = Some(tls)).await
    }

    /// A handshake that offers a protocol, and optionally a certificate.
    async fn connect(
        &self,
        address: SocketAddr,
        protocol: &str,
        certificate: Option<(rcgen::Certificate, KeyPair)>,
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match certificate {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
                let chain = vec![certificate.der().clone()];
                builder.with_client_auth_cert(chain, key).unwrap()
            }
        };
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        let stream = TcpStream::connect(address).await?;
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await
    }
}

/// Whether the service responds on a connection: with TLS 1.3 a client learns only
/// then whether the service accepted its certificate.
async fn answers(stream: std::io::Result<TlsStream<TcpStream>>) -> bool {
    let Ok(mut stream) = stream else {
        return false;
    };
    let request = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    if stream.write_all(request).await.is_err() {
        return false;
    }
    let mut answer = Vec::new();
    let read = time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
    read.unwrap().is_ok() && answer.starts_with(b"HTTP/1.1 200 OK")
}

fn channel(authority: &Authority, world: &World) -> Channel {
    let tls = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(authority.issuer.pem()))
        .domain_name("localhost");
    let uri = format!("https://{}", world.address);
    let endpoint = Channel::from_shared(uri).unwrap();
    endpoint.tls_config(tls).unwrap().connect_lazy()
}

#[tokio::test]
async fn both_protocols_are_spoken() {
    let authority = Authority::new();
    let world = authority.serve(|_| {}).await;
    for protocol in ["h2", "http/1.1"] {
        let stream = authority
            .connect(world.address, protocol, None)
            .await
            .unwrap();
        assert_eq!(
            stream.get_ref().1.alpn_protocol(),
            Some(protocol.as_bytes())
        );
    }
    assert!(answers(authority.connect(world.address, "http/1.1", None).await).await);
    list(&channel(&authority, &world)).await.unwrap();
    list(&world.channel()).await.unwrap_err();
    world.stop().await;
}

#[tokio::test]
async fn client_certificates_are_verified() {
    let (authority, other) = (Authority::new(), Authority::new());
    for required in [true, false] {
        let world = authority
            .serve(|tls| {
                tls.client_ca = Some(authority.path("ca.pem"));
                tls.require_client_certificate = required;
            })
            .await;
        let connect = |certificate| authority.connect(world.address, "http/1.1", certificate);
        assert_eq!(answers(connect(None).await).await, !required);
        assert!(answers(connect(Some(authority.issue())).await).await);
        assert!(!answers(connect(Some(other.issue())).await).await);
    }
}

/// The identity of the client reaches the calls.
#[tokio::test]
async fn a_client_s_certificate_reaches_the_calls() {
    let authority = Authority::new();
    let mut tls = authority.tls();
    tls.client_ca = Some(authority.path("ca.pem"));
    let answer = async |request: Request<Incoming>| {
        let peer = request.extensions().get::<Peer>().unwrap();
        Bytes::copy_from_slice(&peer.certificate.clone().unwrap_or_default())
    };
    let certificates = Certificates::load(tls).unwrap();
    let (address, _serving) = calls::serve(Some(certificates), answer).await;
    for certificate in [None, Some(authority.issue())] {
        let expected = certificate.as_ref().map(|(leaf, _)| leaf.der().to_vec());
        let stream = authority.connect(address, "h2", certificate).await.unwrap();
        let mut client = calls::client(stream).await;
        let name = calls::call(&mut client, "/p.S/M").await.unwrap();
        assert_eq!(name, expected.unwrap_or_default());
    }
}

#[tokio::test]
async fn a_new_certificate_is_for_new_connections() {
    let authority = Authority::new();
    let world = authority.serve(|_| {}).await;
    let old = channel(&authority, &world);
    let job = waiting_job(&old).await;
    let stream = watch_job(&old, &job).await;
    // An unusable certificate is not loaded.
    authority.write("cert.pem", "nonsense");
    let renewed = authority.renew();
    let followed = async {
        loop {
            let stream = authority.connect(world.address, "h2", None).await.unwrap();
            let leaf = stream.get_ref().1.peer_certificates().unwrap()[0].clone();
            if leaf == renewed {
                return;
            }
        }
    };
    time::timeout(PATIENCE, followed).await.unwrap();
    cancel(&old, &job).await;
    end(stream).await.unwrap();
}

#[tokio::test]
async fn a_stuck_handshake_is_closed() {
    let authority = Authority::new();
    let tls = authority.tls();
    let world = World::with(|config| {
        config.tls = Some(tls);
        config.limits.handshake_timeout = std::time::Duration::from_millis(200);
    })
    .await;
    for begun in [&b""[..], b"\x16\x03\x01"] {
        let mut stream = TcpStream::connect(world.address).await.unwrap();
        stream.write_all(begun).await.unwrap();
        assert_eq!(until_closed(stream).await, "");
    }
}

#[tokio::test]
async fn errors_in_the_files_are_reported_at_the_start() {
    let authority = Authority::new();
    let failure = async || authority.serve(|_| {}).await.failure().await;
    let (key, certificate) = (authority.path("key.pem"), authority.path("cert.pem"));
    let assert_names = |message: String, path: &PathBuf, problem: &str| {
        let path = path.display().to_string();
        assert!(
            message.contains(&path) && message.contains(problem),
            "{message}"
        );
    };

    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    assert_names(failure().await, &key, "mode 0644");
    let (_, other) = authority.issue();
    authority.write("key.pem", &other.serialize_pem());
    assert_names(failure().await, &key, "not the key of the certificate");
    authority.write("key.pem", "nonsense");
    assert_names(failure().await, &key, "no private key");
    authority.write("cert.pem", "nonsense");
    assert_names(failure().await, &certificate, "no certificate");
    fs::remove_file(&certificate).unwrap();
    assert_names(failure().await, &certificate, "No such file");
}
