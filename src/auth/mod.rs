//! Who calls. Knows nothing of how the call arrived.

mod peer;
mod roles;

use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

pub use peer::Peer;
pub use roles::{ALL_PROJECTS, Authority, Denied, Grants, Principal, Role, UnknownRole};

/// Tells callers by their credentials.
#[derive(Debug)]
pub enum Authenticator {
    /// Anybody, as `anonymous`.
    Open,
    /// Whoever has this token, as `local`.
    Token(SecretString),
}

impl Authenticator {
    /// The caller who sent these credentials, the value of an `authorization`
    /// header; none for one to be refused.
    pub fn authenticate(&self, authorization: Option<&[u8]>) -> Option<Arc<Principal>> {
        match self {
            Self::Open => Some(everybody("anonymous")),
            Self::Token(token) => {
                let sent = authorization?.strip_prefix(b"Bearer ")?;
                let is_same = sent.ct_eq(token.expose_secret().as_bytes());
                bool::from(is_same).then(|| everybody("local"))
            }
        }
    }
}

fn everybody(name: &str) -> Arc<Principal> {
    Arc::new(Principal {
        name: name.to_owned(),
        grants: Grants::everything(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_admits_only_its_holder() {
        let auth = Authenticator::Token("secret".into());
        let local = Some(everybody("local"));
        assert_eq!(auth.authenticate(Some(b"Bearer secret")), local);
        for wrong in [
            &b"Bearer secreT"[..],
            b"Bearer secret2",
            b"Bearer ",
            b"secret",
            b"",
        ] {
            assert_eq!(auth.authenticate(Some(wrong)), None);
        }
        assert_eq!(auth.authenticate(None), None);
    }

    #[test]
    fn a_token_is_not_in_its_debug_output() {
        let auth = Authenticator::Token("sesame".into());
        assert!(!format!("{auth:?}").contains("sesame"));
    }
}
