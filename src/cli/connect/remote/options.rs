//! What one place, such as the command line, says of a service and how to reach it.

use std::{env, path::PathBuf};

use secrecy::SecretString;

use super::{address::Address, secrets::without_line_end};

/// The options that one place gives.
#[derive(Clone, Debug, Default)]
pub(crate) struct ConnectionOptions {
    /// Where the service is.
    pub(crate) server: Option<Address>,
    /// A token.
    pub(crate) token: Option<SecretString>,
    /// A file that holds a token.
    pub(crate) token_file: Option<PathBuf>,
    /// A user's name.
    pub(crate) username: Option<String>,
    /// That user's password.
    pub(crate) password: Option<SecretString>,
    /// How to tell the service from another, and this client to it.
    pub(crate) tls: TlsFiles,
}

/// What TLS needs beside the address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TlsFiles {
    /// Certificates of authorities, instead of the system's.
    pub(crate) ca_cert: Option<PathBuf>,
    /// The client's certificate and those that lead to its authority.
    pub(crate) client_cert: Option<PathBuf>,
    /// The key of the client's certificate.
    pub(crate) client_key: Option<PathBuf>,
    /// The name in the service's certificate.
    pub(crate) server_name: Option<String>,
}

impl ConnectionOptions {
    /// The credentials of the environment. An empty variable is none, since that is how
    /// those who start containers unset one. The end of a line is not part of a value.
    pub(crate) fn of_environment() -> Self {
        let read = |name| {
            let value = env::var(name).ok().map(without_line_end);
            value.filter(|value| !value.is_empty())
        };
        Self {
            token: read("PIPEWRIGHT_TOKEN").map(SecretString::from),
            username: read("PIPEWRIGHT_USERNAME"),
            password: read("PIPEWRIGHT_PASSWORD").map(SecretString::from),
            ..Self::default()
        }
    }

    /// Whether it has a token, in whatever form.
    pub(crate) fn has_token(&self) -> bool {
        self.token.is_some() || self.token_file.is_some()
    }

    /// Whether it holds something that nobody else may read.
    pub(crate) fn has_secrets(&self) -> bool {
        self.token.is_some() || self.password.is_some()
    }

    /// Whether it says who calls.
    pub(crate) fn has_credentials(&self) -> bool {
        self.has_token() || self.username.is_some() || self.tls.client_cert.is_some()
    }
}
