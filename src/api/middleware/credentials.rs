//! The credentials of a request. The metrics page uses this module, too.

use http::{Extensions, HeaderMap, header};

use crate::auth::{Peer, Presented};

/// Reads the credentials of a request. The connection's [`Peer`] is expected in its
/// extensions.
pub fn presented<'a>(headers: &'a HeaderMap, extensions: &'a Extensions) -> Presented<'a> {
    let mut sent = headers.get_all(header::AUTHORIZATION).iter();
    Presented {
        authorization: match (sent.next(), sent.next()) {
            (one, None) => one.map(|value| value.as_bytes()),
            // Several headers are ambiguous, so none is valid.
            (_, Some(_)) => Some(b""),
        },
        peer: extensions.get::<Peer>(),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn several_authorization_headers_are_invalid() {
        let mut headers = HeaderMap::new();
        let sent = |headers: &HeaderMap| {
            let extensions = Extensions::new();
            presented(headers, &extensions).authorization.map(Vec::from)
        };
        assert_eq!(sent(&headers), None);
        headers.append(header::AUTHORIZATION, HeaderValue::from_static("Bearer a"));
        assert_eq!(sent(&headers), Some(b"Bearer a".to_vec()));
        headers.append(header::AUTHORIZATION, HeaderValue::from_static("Bearer b"));
        assert_eq!(sent(&headers), Some(Vec::new()));
    }
}
