//! Who calls. Knows nothing of how the call arrived.

use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

/// The name under which a call acts, as it stands in what the call makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal(pub String);

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
    pub fn authenticate(&self, authorization: Option<&[u8]>) -> Option<Principal> {
        match self {
            Self::Open => Some(Principal("anonymous".to_owned())),
            Self::Token(token) => {
                let sent = authorization?.strip_prefix(b"Bearer ")?;
                let is_same = sent.ct_eq(token.expose_secret().as_bytes());
                bool::from(is_same).then(|| Principal("local".to_owned()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_admits_only_its_holder() {
        let auth = Authenticator::Token("secret".into());
        let local = Some(Principal("local".into()));
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
