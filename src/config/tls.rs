//! The TLS files of the service.

use std::path::PathBuf;

/// The TLS files, in PEM format. They are reloaded when they change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// The service's certificate, followed by its chain.
    pub certificate: PathBuf,
    /// The certificate's private key.
    pub key: PathBuf,
    /// The CAs whose client certificates are accepted; if unset, none are requested.
    pub client_ca: Option<PathBuf>,
    /// Refuse connections without a client certificate.
    pub require_client_certificate: bool,
}
