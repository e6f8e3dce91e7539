//! The host names that requests may use. This prevents DNS rebinding: a web page can make a
//! host name of its own resolve to an address of this service, and then has the same origin;
//! but its requests still carry that host name.

use std::net::IpAddr;

use http::{Request, header, uri::Authority};

use super::refusal::{Refusal, Rule};

/// Paths that are served under any host name: health probes use the address.
const PROBES: [&str; 3] = ["/healthz", "/readyz", "/grpc.health.v1.Health/"];

/// The names that are accepted.
pub(super) enum Hosts {
    Any,
    /// IP addresses and localhost: names that no other DNS zone can define.
    OwnOnly,
    Listed(Vec<String>),
}

impl Hosts {
    /// `open` is access without credentials.
    pub(super) fn new(listed: &[String], open: bool) -> Self {
        match listed {
            [] if open => Self::OwnOnly,
            [] => Self::Any,
            listed if listed.iter().any(|name| name == "*") => Self::Any,
            listed => {
                let bare = |name: &String| bare(name).to_ascii_lowercase();
                Self::Listed(listed.iter().map(bare).collect())
            }
        }
    }

    pub(super) fn check<B>(&self, request: &Request<B>) -> Result<(), Refusal> {
        check_user_information(request)?;
        let path = request.uri().path();
        if matches!(self, Self::Any) || PROBES.iter().any(|probe| path.starts_with(probe)) {
            return Ok(());
        }
        let in_uri = request.uri().authority().map(|authority| authority.host());
        let headers = request.headers().get_all(header::HOST).iter();
        // A header that is not an authority counts as an empty name, which is refused.
        let parsed: Vec<_> = headers
            .map(|value| Authority::try_from(value.as_bytes()))
            .collect();
        let in_headers = parsed
            .iter()
            .map(|authority| authority.as_ref().map_or("", |authority| authority.host()));
        let mut named = in_uri.into_iter().chain(in_headers).peekable();
        if named.peek().is_none() {
            return Err(refusal(""));
        }
        match named.find(|name| !self.accepts(bare(name))) {
            Some(name) => Err(refusal(name)),
            None => Ok(()),
        }
    }

    fn accepts(&self, name: &str) -> bool {
        match self {
            Self::Any => true,
            Self::OwnOnly => name.parse::<IpAddr>().is_ok() || is_localhost(name),
            Self::Listed(names) => names.iter().any(|listed| listed.eq_ignore_ascii_case(name)),
        }
    }
}

/// No request may carry user information in its authority (RFC 9113, 8.3.1): a parser that
/// reads the host up to an `@` would see a different host.
fn check_user_information<B>(request: &Request<B>) -> Result<(), Refusal> {
    let in_uri = request.uri().authority();
    let in_uri = in_uri.is_some_and(|authority| authority.as_str().contains('@'));
    let mut headers = request.headers().get_all(header::HOST).iter();
    if in_uri || headers.any(|value| value.as_bytes().contains(&b'@')) {
        return Err(Refusal {
            rule: Rule::Hosts,
            message: "the authority must be a host of allowed_hosts and a port, without user \
                      information; send credentials in the header authorization"
                .to_owned(),
            setting: "allowed_hosts",
        });
    }
    Ok(())
}

/// Strips the brackets of an IPv6 address and the trailing dot of an absolute name.
fn bare(name: &str) -> &str {
    let name = name.strip_suffix('.').unwrap_or(name);
    let inside = name
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    inside.unwrap_or(name)
}

/// Browsers and resolvers resolve these names to the loopback address (RFC 6761).
fn is_localhost(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost")
}

fn refusal(name: &str) -> Refusal {
    Refusal {
        rule: Rule::Hosts,
        message: format!(
            "the host '{}' is not allowed; the setting is allowed_hosts",
            name.escape_debug()
        ),
        setting: "allowed_hosts",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted(hosts: &Hosts, uri: &str, host: Option<&str>) -> bool {
        let mut request = Request::builder().uri(uri);
        if let Some(host) = host {
            request = request.header("host", host);
        }
        hosts.check(&request.body(()).unwrap()).is_ok()
    }

    #[test]
    fn without_credentials_only_addresses_and_localhost_are_accepted() {
        let own = Hosts::new(&[], true);
        for good in [
            "127.0.0.1:50051",
            "[::1]:5",
            "10.0.0.9",
            "LOCALHOST:1",
            "a.localhost",
        ] {
            assert!(accepted(&own, "/p.S/M", Some(good)), "{good}");
        }
        for bad in [
            "evil.example:50051",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "",
            " ",
        ] {
            assert!(!accepted(&own, "/p.S/M", Some(bad)), "{bad}");
        }
        assert!(!accepted(&own, "/p.S/M", None));
        assert!(accepted(&own, "http://127.0.0.1:1/p.S/M", None));
        assert!(!accepted(&own, "http://evil.example/p.S/M", None));
        // Both must be accepted, so that a client cannot choose which one is checked.
        assert!(!accepted(
            &own,
            "http://127.0.0.1/p.S/M",
            Some("evil.example")
        ));
        assert!(accepted(&own, "/healthz", Some("evil.example")));
    }

    #[test]
    fn only_listed_names_are_accepted() {
        let listed = Hosts::new(&["ci.example.com".into(), "[::1]".into()], true);
        assert!(accepted(&listed, "/p.S/M", Some("CI.example.com.:443")));
        assert!(accepted(&listed, "/p.S/M", Some("[::1]:443")));
        assert!(!accepted(&listed, "/p.S/M", Some("127.0.0.1")));
        for hosts in [&listed, &Hosts::new(&["*".into()], true)] {
            assert!(!accepted(hosts, "http://me@ci.example.com/p.S/M", None));
            assert!(!accepted(hosts, "/p.S/M", Some("me:secret@ci.example.com")));
            assert!(!accepted(hosts, "/healthz", Some("me@ci.example.com")));
        }
        let any = Hosts::new(&["*".into()], true);
        assert!(accepted(&any, "/p.S/M", Some("evil.example")));
        assert!(accepted(&Hosts::new(&[], false), "/p.S/M", None));
    }
}
