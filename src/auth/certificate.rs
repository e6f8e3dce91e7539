use std::{fmt, time::SystemTime};

use x509_cert::{
    Certificate,
    der::Decode,
    ext::pkix::{SubjectAltName, name::GeneralName},
};

/// A name that a certificate gives its holder.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// One of its alternative names: a URI, an e-mail address or a DNS name.
    AltName(String),
    /// The common name of its subject.
    CommonName(String),
}

impl fmt::Display for Subject {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AltName(name) => out.write_str(name),
            Self::CommonName(name) => write!(out, "CN={name}"),
        }
    }
}

/// The names and the expiry in a certificate.
#[derive(Debug)]
pub(super) struct Identity {
    pub(super) alt_names: Vec<Subject>,
    pub(super) common_name: Option<Subject>,
    pub(super) not_after: SystemTime,
}

/// Parses a certificate whose signatures were verified already; none if it is malformed.
pub(super) fn identity(der: &[u8]) -> Option<Identity> {
    let certificate = Certificate::from_der(der).ok()?;
    let certificate = certificate.tbs_certificate();
    let extension = certificate.get_extension::<SubjectAltName>().ok()?;
    let alt_names = extension.map_or_else(Vec::new, |(_, names)| names.0);
    let common_name = certificate.subject().common_name().ok()?;
    Some(Identity {
        alt_names: alt_names.iter().filter_map(alt_name).collect(),
        common_name: common_name.map(|name| Subject::CommonName(name.into())),
        not_after: certificate.validity().not_after.to_system_time(),
    })
}

/// A certificate authority may verify DNS names but not URIs, or the other way round.
/// So text counts only as the kind of name whose form it has: with a colon it is a URI,
/// with an at sign an e-mail address, otherwise a DNS name.
fn alt_name(name: &GeneralName) -> Option<Subject> {
    let (name, is_of_its_kind) = match name {
        GeneralName::UniformResourceIdentifier(name) => (name, name.as_str().contains(':')),
        GeneralName::Rfc822Name(name) => {
            let text = name.as_str();
            (name, text.contains('@') && !text.contains(':'))
        }
        GeneralName::DnsName(name) => (name, !name.as_str().contains([':', '@'])),
        _ => return None,
    };
    is_of_its_kind.then(|| Subject::AltName(name.as_str().to_owned()))
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair, SanType, string::Ia5String};

    use super::*;

    fn ia5(text: &str) -> Ia5String {
        text.try_into().unwrap()
    }

    fn names(alt_names: Vec<SanType>, common_name: &str) -> Vec<String> {
        let mut params = CertificateParams::default();
        params.subject_alt_names = alt_names;
        params.distinguished_name = rcgen::DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::CommonName, common_name);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let identity = identity(certificate.der()).unwrap();
        let subjects = identity.alt_names.into_iter().chain(identity.common_name);
        subjects.map(|subject| subject.to_string()).collect()
    }

    #[test]
    fn names_are_found_and_count_as_what_they_look_like() {
        let found = names(
            vec![
                SanType::URI(ia5("spiffe://ci.test/runner/7")),
                SanType::DnsName(ia5("runner-7.ci.test")),
                SanType::Rfc822Name(ia5("ada@ci.test")),
                SanType::IpAddress([127, 0, 0, 1].into()),
                SanType::URI(ia5("bank.ci.test")),
                SanType::DnsName(ia5("spiffe://ci.test/admin")),
                SanType::DnsName(ia5("root@ci.test")),
                SanType::Rfc822Name(ia5("bank.ci.test")),
            ],
            "runner 7",
        );
        assert_eq!(
            found,
            [
                "spiffe://ci.test/runner/7",
                "runner-7.ci.test",
                "ada@ci.test",
                "CN=runner 7"
            ]
        );
    }

    #[test]
    fn what_is_no_certificate_has_no_names() {
        assert!(identity(b"").is_none());
        assert!(identity(b"0\x03abc").is_none());
    }
}
