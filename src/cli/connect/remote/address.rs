//! The address of a service.

use std::{fmt, net::IpAddr, str::FromStr};

use tonic::transport::Uri;

/// Address of the service if none is given.
const DEFAULT: &str = "http://127.0.0.1:50051";

/// The address of a service: a scheme, a host and a port, and nothing more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address(Uri);

impl Default for Address {
    fn default() -> Self {
        Self(Uri::from_static(DEFAULT))
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let url = match text.split_once("://") {
            None => format!("http://{text}"),
            Some(("http" | "https", _)) => text.to_owned(),
            Some((scheme, _)) => {
                return Err(format!("`{scheme}` is not supported; use https or http"));
            }
        };
        let uri: Uri = url.parse().map_err(|error| format!("{error}"))?;
        let is_address = |uri: &Uri| {
            uri.host().is_some_and(|host| !host.is_empty())
                && uri.path() == "/"
                && uri.query().is_none()
        };
        if !is_address(&uri) {
            return Err(
                "an address is https://host:port, http://host:port or host:port".to_owned(),
            );
        }
        // `user:password@` would appear in messages.
        if uri
            .authority()
            .is_some_and(|authority| authority.as_str().contains('@'))
        {
            return Err("an address has no credentials in it; use --username".to_owned());
        }
        Ok(Self(uri))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_tls() { "https" } else { "http" };
        let authority = self
            .0
            .authority()
            .map_or("", |authority| authority.as_str());
        write!(f, "{scheme}://{authority}")
    }
}

impl Address {
    /// The address for tonic.
    pub(super) fn uri(&self) -> Uri {
        self.0.clone()
    }

    /// Whether calls are encrypted.
    pub(crate) fn is_tls(&self) -> bool {
        self.0.scheme_str() == Some("https")
    }

    /// Whether calls stay on this machine.
    pub(crate) fn is_loopback(&self) -> bool {
        let host = self.0.host().unwrap_or_default();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        match bare.parse::<IpAddr>() {
            Ok(ip) => ip.to_canonical().is_loopback(),
            Err(_) => host.eq_ignore_ascii_case("localhost"),
        }
    }

    /// Whether both have the same scheme, host and port.
    pub(crate) fn is_same_as(&self, other: &Self) -> bool {
        let port = |uri: &Uri, is_tls| uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let host = |uri: &Uri| uri.host().map(str::to_ascii_lowercase);
        self.is_tls() == other.is_tls()
            && host(&self.0) == host(&other.0)
            && port(&self.0, self.is_tls()) == port(&other.0, other.is_tls())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        text.parse().unwrap()
    }

    #[test]
    fn addresses_with_and_without_scheme() {
        for (text, shown) in [
            ("127.0.0.1:1", "http://127.0.0.1:1"),
            ("http://ci.test:2/", "http://ci.test:2"),
            ("[::1]:3", "http://[::1]:3"),
            ("https://ci.test", "https://ci.test"),
        ] {
            assert_eq!(address(text).to_string(), shown);
        }
        for text in [
            "",
            "http://",
            "a b",
            "ftp://ci.test",
            "https://ci.test/path",
            "https://ci.test?q",
        ] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
        let error = "https://me:secret@ci.test".parse::<Address>().unwrap_err();
        assert!(!error.contains("secret"), "{error}");
    }

    #[test]
    fn only_what_cannot_leave_the_machine_is_loopback() {
        for text in [
            "127.0.0.1:1",
            "127.9.9.9:1",
            "[::1]:1",
            "LocalHost:1",
            "[::ffff:127.0.0.1]:1",
        ] {
            assert!(address(text).is_loopback(), "{text}");
        }
        for text in [
            "0.0.0.0:1",
            "10.0.0.1:1",
            "localhost.test:1",
            "127.0.0.1.test:1",
            "ci.test:1",
        ] {
            assert!(!address(text).is_loopback(), "{text}");
        }
    }

    #[test]
    fn the_same_place_may_be_written_in_more_than_one_way() {
        let same = |one, other| address(one).is_same_as(&address(other));
        assert!(same("https://CI.test", "https://ci.test:443/"));
        assert!(same("ci.test:80", "http://ci.test"));
        for other in [
            "http://ci.test:443",
            "https://ci.test:444",
            "https://ci.tes",
        ] {
            assert!(!same("https://ci.test", other), "{other}");
        }
    }
}
