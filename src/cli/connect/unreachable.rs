//! Why a service cannot be reached, with the likely fix.

use std::{error::Error, io};

use rustls::{AlertDescription as Alert, CertificateError, Error as TlsError};
use tonic::Status;

/// The cause and what to try, for errors that a retry would not fix: the wrong scheme, name,
/// authority or kind of service.
pub(crate) fn explain(status: &Status) -> Option<String> {
    let mut cause = status.source();
    while let Some(error) = cause {
        if let Some(tls) = tls_error(error) {
            return explain_tls(tls);
        }
        cause = error.source();
    }
    explain_text(&root_cause(status)?)
}

/// The innermost source, such as "connection refused", if the error arose on this side.
pub(crate) fn root_cause(status: &Status) -> Option<String> {
    let mut cause = status.source()?;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    Some(cause.to_string())
}

/// `source` of an I/O error skips its inner error.
fn tls_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a TlsError> {
    let inner = error
        .downcast_ref::<io::Error>()
        .and_then(io::Error::get_ref);
    match inner {
        Some(inner) => inner.downcast_ref(),
        None => error.downcast_ref(),
    }
}

fn explain_tls(error: &TlsError) -> Option<String> {
    Some(match error {
        TlsError::InvalidCertificate(error) => explain_certificate(error),
        TlsError::InvalidMessage(_) => NOT_TLS.to_owned(),
        TlsError::AlertReceived(Alert::CertificateRequired) => WANTS_CERTIFICATE.to_owned(),
        TlsError::AlertReceived(Alert::NoApplicationProtocol) => NOT_GRPC.to_owned(),
        TlsError::AlertReceived(
            alert @ (Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::AccessDenied
            | Alert::DecryptError),
        ) => format!("it does not accept the client certificate ({alert:?}); check --client-cert"),
        _ => return None,
    })
}

fn explain_certificate(error: &CertificateError) -> String {
    match error {
        // A CA that was created anew has the same name but another key.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "no authority that is trusted here has signed its \
            certificate; name the authority's with --ca-cert"
                .to_owned()
        }
        CertificateError::NotValidForNameContext { presented, .. } => {
            let names: Vec<_> = presented.iter().map(|name| bare(name)).collect();
            format!(
                "its certificate is for {}; if that is the service, say so with --server-name",
                names.join(", ")
            )
        }
        CertificateError::Other(error) if error.to_string().contains("CaUsedAsEndEntity") => {
            "its certificate is one of an authority; one that a service shows must not be, \
             also when it is signed by itself (basicConstraints=CA:FALSE)"
                .to_owned()
        }
        error => format!("its certificate is not valid: {error}"),
    }
}

/// `ci.test` from `DnsName("ci.test")`, the format of the library.
fn bare(name: &str) -> &str {
    let inner = name
        .split_once('(')
        .and_then(|(_, rest)| rest.strip_suffix(')'));
    inner.unwrap_or(name).trim_matches('"')
}

/// Possible causes if a service closes the connection before it responds: the reason that
/// it sent may be lost with the connection.
pub(crate) fn guess(status: &Status, is_tls: bool, has_certificate: bool) -> Option<String> {
    let cause = broken_off(status)?;
    let why = match (is_tls, has_certificate) {
        (false, _) => "is it an https:// address, or another service?",
        (true, false) => "it may want a client certificate (--client-cert and --client-key)",
        (true, true) => "it may not accept the client certificate (--client-cert)",
    };
    Some(format!("it broke the connection off ({cause}); {why}"))
}

/// How the connection ended during a call, whatever code the library uses for it.
pub(crate) fn broken_off(status: &Status) -> Option<String> {
    let cause = root_cause(status)?;
    let lower = cause.to_lowercase();
    let is_broken_off = ["broken pipe", "connection reset", "connection closed"]
        .iter()
        .any(|part| lower.contains(part));
    is_broken_off.then_some(cause)
}

/// The HTTP/2 library keeps only the text of the error that broke the connection.
fn explain_text(cause: &str) -> Option<String> {
    let known = [
        ("frame with invalid size", NOT_PLAIN_GRPC),
        ("HTTP/2 was not negotiated", NOT_GRPC),
        ("CertificateRequired", WANTS_CERTIFICATE),
        ("received fatal alert", REFUSED_CERTIFICATE),
    ];
    let found = known.iter().find(|(part, _)| cause.contains(part));
    found.map(|(_, why)| (*why).to_owned())
}

const NOT_TLS: &str = "what answers there does not speak TLS; is it an http:// address?";
const NOT_PLAIN_GRPC: &str = "what answers there does not speak gRPC in plaintext; is it an https:// address, or another service?";
const NOT_GRPC: &str = "what answers there does not speak gRPC; is it another service?";
const WANTS_CERTIFICATE: &str = "it wants a client certificate (--client-cert and --client-key)";
const REFUSED_CERTIFICATE: &str = "it does not accept the client certificate; check --client-cert";
