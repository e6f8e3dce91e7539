//! What a call says of its caller.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use secrecy::{ExposeSecret, SecretString};
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::Interceptor,
};

use crate::cli::connect::trace::Trace;

/// Who calls; by default nobody.
#[derive(Clone, Default)]
pub(crate) struct Credentials(Option<MetadataValue<Ascii>>);

impl Credentials {
    /// A token. The error says what is wrong with it, without it.
    pub(crate) fn bearer(token: &SecretString) -> Result<Self, &'static str> {
        let token = token.expose_secret();
        let is_visible = token.bytes().all(|byte| byte.is_ascii_graphic());
        if token.is_empty() || !is_visible {
            return Err("a token is one or more visible ASCII characters");
        }
        Self::header(&format!("Bearer {token}"))
    }

    /// A user by name and password (RFC 7617). The error says what is wrong with them.
    pub(crate) fn basic(username: &str, password: &SecretString) -> Result<Self, &'static str> {
        let password = password.expose_secret();
        if username.is_empty() || username.contains(':') {
            return Err("a user's name is not empty and has no colon");
        }
        if [username, password]
            .iter()
            .any(|text| text.contains(char::is_control))
        {
            return Err("names and passwords have no control characters");
        }
        let pair = BASE64_STANDARD.encode(format!("{username}:{password}"));
        Self::header(&format!("Basic {pair}"))
    }

    fn header(value: &str) -> Result<Self, &'static str> {
        let mut value: MetadataValue<Ascii> =
            value.parse().map_err(|_| "it does not fit into a header")?;
        // Neither shown by `Debug` nor kept in a table of HTTP/2 headers.
        value.set_sensitive(true);
        Ok(Self(Some(value)))
    }

    /// Whether there are any.
    pub(crate) fn is_some(&self) -> bool {
        self.0.is_some()
    }
}

/// Adds to each call what it says of its caller.
#[derive(Clone, Default)]
pub(crate) struct Headers {
    /// Who calls.
    pub(crate) credentials: Credentials,
    /// Which trace the call is a part of.
    pub(crate) trace: Trace,
}

impl Interceptor for Headers {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let headers = [
            ("authorization", &self.credentials.0),
            ("traceparent", &self.trace.parent),
            ("tracestate", &self.trace.state),
        ];
        for (name, value) in headers {
            if let Some(value) = value {
                request.metadata_mut().insert(name, value.clone());
            }
        }
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(credentials: Result<Credentials, &str>) -> MetadataValue<Ascii> {
        credentials.unwrap().0.unwrap()
    }

    #[test]
    fn headers_are_those_of_the_standards_and_marked() {
        let bearer = sent(Credentials::bearer(&"t0k-_.~+/=".into()));
        assert_eq!(bearer, "Bearer t0k-_.~+/=");
        // The example of RFC 7617.
        let basic = sent(Credentials::basic("Aladdin", &"open sesame".into()));
        assert_eq!(basic, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        for value in [bearer, basic] {
            assert!(value.is_sensitive());
            assert_eq!(format!("{value:?}"), "Sensitive");
        }
    }

    #[test]
    fn what_cannot_be_sent_is_told_without_telling_it() {
        for token in ["", "a b", "secret\n", "s\u{e9}cret"] {
            let error = Credentials::bearer(&token.into()).err().unwrap();
            assert!(!error.contains("cret"), "{error}");
        }
        assert!(Credentials::basic("a:b", &"p".into()).is_err());
        assert!(Credentials::basic("", &"p".into()).is_err());
        assert!(Credentials::basic("a", &"p\n".into()).is_err());
        assert!(Credentials::basic("a", &"p:q \u{e9}".into()).is_ok());
    }
}
