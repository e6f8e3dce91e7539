use std::net::IpAddr;

use base64::{Engine, prelude::BASE64_STANDARD};
use secrecy::SecretSlice;

use super::{Peer, password};

/// The credentials that come with a call.
#[derive(Clone, Copy, Debug, Default)]
pub struct Presented<'a> {
    /// Value of the `authorization` header.
    pub authorization: Option<&'a [u8]>,
    /// The other end of its connection.
    pub peer: Option<&'a Peer>,
}

/// The credential that counts.
pub(super) enum Shown<'a> {
    Nothing,
    Bearer(&'a [u8]),
    /// A user and a password, in Base64.
    Basic(&'a [u8]),
    /// DER.
    Certificate(&'a [u8]),
    /// A header of another form.
    Other,
}

impl<'a> Presented<'a> {
    /// A header takes precedence over a certificate, so that it is never silently ignored.
    pub(super) fn shown(self) -> Shown<'a> {
        if let Some(header) = self.authorization {
            return in_header(header);
        }
        let certificate = self.peer.and_then(|peer| peer.certificate.as_deref());
        certificate.map_or(Shown::Nothing, Shown::Certificate)
    }

    pub(super) fn address(self) -> Option<IpAddr> {
        self.peer.map(|peer| peer.address.ip())
    }
}

/// Schemes are case-insensitive (RFC 9110, 11.1).
fn in_header(header: &[u8]) -> Shown<'_> {
    let space = header.iter().position(|byte| *byte == b' ');
    let Some((scheme, value)) = space.map(|space| header.split_at(space)) else {
        return Shown::Other;
    };
    let value = value.trim_ascii();
    if scheme.eq_ignore_ascii_case(b"bearer") {
        Shown::Bearer(value)
    } else if scheme.eq_ignore_ascii_case(b"basic") {
        Shown::Basic(value)
    } else {
        Shown::Other
    }
}

/// A name and a password that have to be checked.
#[derive(Debug)]
pub(super) struct Login {
    pub(super) user: String,
    pub(super) password: SecretSlice<u8>,
}

impl Login {
    /// Parses `user:password` (RFC 7617); none if it is malformed, or longer than any valid
    /// one.
    pub(super) fn read(encoded: &[u8]) -> Option<Self> {
        // A name of 64 characters, a colon and a password, as Base64.
        if encoded.len() > (64 + 1 + password::MOST_BYTES).div_ceil(3) * 4 {
            return None;
        }
        let mut user = BASE64_STANDARD.decode(encoded).ok()?;
        let colon = user.iter().position(|byte| *byte == b':')?;
        let password = user.split_off(colon + 1);
        user.pop();
        let password = SecretSlice::from(password);
        Some(Self {
            user: String::from_utf8(user).ok()?,
            password,
        })
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn read(text: &str) -> Option<(String, Vec<u8>)> {
        let login = Login::read(BASE64_STANDARD.encode(text).as_bytes())?;
        Some((login.user, login.password.expose_secret().to_vec()))
    }

    #[test]
    fn a_password_begins_after_the_first_colon() {
        let login = |user: &str, password: &str| Some((user.to_owned(), password.into()));
        assert_eq!(read("ada:a:b "), login("ada", "a:b "));
        assert_eq!(read(":"), login("", ""));
        assert_eq!(read("ada"), None);
        let longest = "x".repeat(1024);
        assert_eq!(read(&format!("ada:{longest}")), login("ada", &longest));
        assert_eq!(read(&format!("ada:{}", "x".repeat(1100))), None);
        assert!(Login::read(b"???").is_none());
    }

    #[test]
    fn a_header_wins_over_a_certificate() {
        let peer = Peer {
            address: ([127, 0, 0, 1], 1).into(),
            certificate: Some([1].into()),
        };
        let shown = |header: Option<&'static str>| {
            let presented = Presented {
                authorization: header.map(str::as_bytes),
                peer: Some(&peer),
            };
            match presented.shown() {
                Shown::Nothing => "nothing".to_owned(),
                Shown::Bearer(text) => format!("bearer {}", text.escape_ascii()),
                Shown::Basic(text) => format!("basic {}", text.escape_ascii()),
                Shown::Certificate(_) => "certificate".to_owned(),
                Shown::Other => "other".to_owned(),
            }
        };
        assert_eq!(shown(None), "certificate");
        assert_eq!(shown(Some("Bearer a")), "bearer a");
        assert_eq!(shown(Some("bearer  a ")), "bearer a");
        assert_eq!(shown(Some("BASIC YTpi")), "basic YTpi");
        for other in ["", "Bearer", "Negotiate x", "a"] {
            assert_eq!(shown(Some(other)), "other");
        }
    }
}
