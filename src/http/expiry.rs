//! Warns before a certificate expires.

use std::time::{Duration, SystemTime};

use x509_cert::{Certificate, der::Decode};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// How long before the expiry the warnings begin.
const NOTICE: Duration = Duration::from_secs(14 * 24 * 60 * 60);

/// When a certificate expires; none if it cannot be parsed.
pub(super) fn end(certificate: &[u8]) -> Option<SystemTime> {
    let certificate = Certificate::from_der(certificate).ok()?;
    let end = certificate.tbs_certificate().validity().not_after;
    Some(end.to_system_time())
}

/// Logs a warning if the certificate has expired or soon will.
pub(super) fn warn(ends: Option<SystemTime>, now: SystemTime) {
    match ends.map(|ends| ends.duration_since(now)) {
        Some(Err(_)) => tracing::warn!("the certificate has expired; clients will refuse it"),
        Some(Ok(left)) if left < NOTICE => {
            let days = left.as_secs() / DAY.as_secs();
            tracing::warn!(days, "the certificate expires soon");
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_expiry_of_a_certificate_is_read() {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::default();
        params.not_after = rcgen::date_time_ymd(2030, 1, 1);
        let certificate = params.self_signed(&key).unwrap();
        let expected = SystemTime::UNIX_EPOCH + Duration::from_secs(1_893_456_000);
        assert_eq!(end(certificate.der()), Some(expected));
        assert_eq!(end(b"nonsense"), None);
    }
}
