//! Loads the TLS certificate, key and client CA from files.

use std::{
    fs,
    io::Read,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use rustls::{
    RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};

use crate::{
    config::Tls,
    private_file::{Readers, open_private},
};

use super::expiry;

/// A TLS file that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the {what} {} cannot be used: {problem}", path.display())]
pub struct TlsError {
    /// The kind of file: certificate, private key or client CA.
    what: &'static str,
    path: PathBuf,
    problem: String,
}

pub(super) struct Loaded {
    pub(super) config: Arc<ServerConfig>,
    /// When the certificate expires, if that can be read.
    pub(super) ends: Option<SystemTime>,
}

const CERTIFICATE: &str = "certificate";
const KEY: &str = "private key";
const CLIENT_CA: &str = "client CA";

pub(super) fn load(files: &Tls) -> Result<Loaded, TlsError> {
    let chain = certificates(CERTIFICATE, &files.certificate)?;
    let ends = chain.first().and_then(|leaf| expiry::end(leaf));
    let key = key(&files.key)?;
    // Not the process default: a program that links this crate may have installed another.
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(CERTIFICATE, &files.certificate)(error.to_string()))?;
    let builder = match &files.client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let required = files.require_client_certificate;
            builder.with_client_cert_verifier(verifier(path, required, provider)?)
        }
    };
    let mut config = builder.with_single_cert(chain, key).map_err(|error| {
        let problem = match error {
            rustls::Error::InconsistentKeys(_) => format!(
                "it is not the key of the certificate {}",
                files.certificate.display()
            ),
            other => other.to_string(),
        };
        wrong(KEY, &files.key)(problem)
    })?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Loaded {
        config: Arc::new(config),
        ends,
    })
}

fn verifier(
    path: &Path,
    required: bool,
    provider: Arc<rustls::crypto::CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let mut roots = RootCertStore::empty();
    for authority in certificates(CLIENT_CA, path)? {
        let added = roots.add(authority);
        added.map_err(|error| wrong(CLIENT_CA, path)(error.to_string()))?;
    }
    let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    if !required {
        builder = builder.allow_unauthenticated();
    }
    builder
        .build()
        .map_err(|error| wrong(CLIENT_CA, path)(error.to_string()))
}

/// Reads the certificates of a PEM file, at least one.
fn certificates(what: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let pem = read(what, path)?;
    let found = CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>();
    let found = found.map_err(|error| wrong(what, path)(format!("it is not PEM: {error}")))?;
    if found.is_empty() {
        return Err(wrong(what, path)(
            "there is no certificate in it".to_owned(),
        ));
    }
    Ok(found)
}

fn key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let opened = open_private(path, Readers::Group);
    let mut file = opened.map_err(|error| wrong(KEY, path)(error.to_string()))?;
    let mut pem = Vec::new();
    let read = file.read_to_end(&mut pem);
    read.map_err(|error| wrong(KEY, path)(error.to_string()))?;
    PrivateKeyDer::from_pem_slice(&pem)
        .map_err(|error| wrong(KEY, path)(format!("there is no private key in it: {error}")))
}

fn read(what: &'static str, path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|error| wrong(what, path)(error.to_string()))
}

fn wrong(what: &'static str, path: &Path) -> impl FnOnce(String) -> TlsError {
    let path = path.to_owned();
    move |problem| TlsError {
        what,
        path,
        problem,
    }
}

/// Metadata that changes when the files are written or replaced: device, inode, size and
/// modification time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stamp(Vec<Option<[i128; 4]>>);

impl Stamp {
    pub(super) fn of(files: &Tls) -> Self {
        let paths = [
            Some(&files.certificate),
            Some(&files.key),
            files.client_ca.as_ref(),
        ];
        let stamp = |path: &PathBuf| {
            let file = fs::metadata(path).ok()?;
            let changed = i128::from(file.mtime()) * 1_000_000_000 + i128::from(file.mtime_nsec());
            Some([
                file.dev().into(),
                file.ino().into(),
                file.size().into(),
                changed,
            ])
        };
        Self(paths.into_iter().flatten().map(stamp).collect())
    }
}
