//! What a request shows of its caller; the page of metrics asks for it, too.

use http::{Extensions, HeaderMap, header};

use crate::auth::{Peer, Presented};

/// What a request shows of its caller. What is known of the connection is expected as
/// [`Peer`] in its extensions.
pub fn presented<'a>(headers: &'a HeaderMap, extensions: &'a Extensions) -> Presented<'a> {
    let mut sent = headers.get_all(header::AUTHORIZATION).iter();
    Presented {
        authorization: match (sent.next(), sent.next()) {
            (one, None) => one.map(|value| value.as_bytes()),
            // Which of them counts is for nobody to choose: none does.
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
    fn of_several_headers_none_counts() {
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
