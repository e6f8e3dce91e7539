//! How connections are encrypted.

use std::path::PathBuf;

/// Files of a certificate and of what it proves, as PEM; read again when they change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// The service's certificate, its chain after it.
    pub certificate: PathBuf,
    /// The certificate's private key.
    pub key: PathBuf,
    /// Authorities whose client certificates are accepted; none are asked for when unset.
    pub client_ca: Option<PathBuf>,
    /// Refuse connections without a client certificate.
    pub require_client_certificate: bool,
}
