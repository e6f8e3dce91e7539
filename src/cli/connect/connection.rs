//! A connection to a service: its address, TLS and credentials.

use std::time::Duration;

use tonic::{Code, Status, transport::Endpoint};

use crate::cli::{
    connect::{
        caller::{Credentials, Headers},
        unreachable::{self, root_cause},
    },
    exit::Failure,
};

const CONNECT: Duration = Duration::from_secs(5);

/// A service and the caller of it.
#[derive(Clone)]
pub(crate) struct Connection {
    /// Connects with the first call.
    pub(crate) endpoint: Endpoint,
    /// Headers of every call.
    pub(crate) headers: Headers,
    /// Whether the client shows a certificate of its own.
    pub(crate) has_certificate: bool,
}

impl Connection {
    /// A connection with the headers of its calls.
    pub(crate) fn new(endpoint: Endpoint, credentials: Credentials) -> Self {
        let headers = Headers {
            credentials,
            ..Headers::default()
        };
        Self {
            endpoint: endpoint.connect_timeout(CONNECT),
            headers,
            has_certificate: false,
        }
    }

    /// The address as people write it.
    pub(crate) fn address(&self) -> String {
        self.endpoint
            .uri()
            .to_string()
            .trim_end_matches('/')
            .to_owned()
    }

    /// A failed call as a message for the user.
    pub(crate) fn failure(&self, status: Status) -> Failure {
        match status.code() {
            Code::Unauthenticated => Failure::Hinted(Box::new(status), self.credentials_hint()),
            _ => self.reaching(status).into(),
        }
    }

    /// Names the address, and the fix if one is known, if the status says that the service was
    /// not reached.
    pub(crate) fn reaching(&self, status: Status) -> Status {
        self.not_reached(&status)
            .map_or(status, Status::unavailable)
    }

    /// Why the service was not reached, if the status says that it was not.
    pub(crate) fn not_reached(&self, status: &Status) -> Option<String> {
        let server = self.address();
        let is_tls = self.endpoint.uri().scheme_str() == Some("https");
        let why = unreachable::explain(status)
            .or_else(|| unreachable::guess(status, is_tls, self.has_certificate));
        if let Some(why) = why {
            return Some(format!("cannot talk to {server} (--server): {why}"));
        }
        let cause = root_cause(status)?;
        (status.code() == Code::Unavailable)
            .then(|| format!("cannot reach {server} (--server): {cause}"))
    }

    /// What to do if the service does not authenticate the caller.
    pub(crate) fn credentials_hint(&self) -> String {
        let server = self.address();
        match (self.headers.credentials.is_some(), self.has_certificate) {
            (true, _) => format!("{server} does not know the credentials that were given"),
            (false, true) => format!(
                "{server} knows no principal for the names in the client certificate; add one \
                 with `pipewright certificate add`"
            ),
            (false, false) => {
                "give credentials with --token-file, PIPEWRIGHT_TOKEN or --username, or keep \
                      them with `pipewright context set`"
                    .to_owned()
            }
        }
    }
}
