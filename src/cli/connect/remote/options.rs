//! Connection options from one source, such as the command line.

use std::{env, path::PathBuf};

use secrecy::SecretString;

use super::{address::Address, secrets::without_line_end};

/// Connection options from one source.
#[derive(Clone, Debug, Default)]
pub(crate) struct ConnectionOptions {
    pub(crate) server: Option<Address>,
    pub(crate) token: Option<SecretString>,
    pub(crate) token_file: Option<PathBuf>,
    pub(crate) username: Option<String>,
    pub(crate) password: Option<SecretString>,
    pub(crate) tls: TlsFiles,
}

/// TLS options.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TlsFiles {
    /// CA certificates to trust instead of the system's.
    pub(crate) ca_cert: Option<PathBuf>,
    /// The client certificate and its chain.
    pub(crate) client_cert: Option<PathBuf>,
    pub(crate) client_key: Option<PathBuf>,
    /// Expected name in the service's certificate.
    pub(crate) server_name: Option<String>,
}

impl ConnectionOptions {
    /// The credentials of the environment. An empty variable counts as unset, since that is how
    /// a container's environment unsets one. A trailing line break is not part of a value.
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

    /// Whether it has a token or a token file.
    pub(crate) fn has_token(&self) -> bool {
        self.token.is_some() || self.token_file.is_some()
    }

    /// Whether it holds a token or a password.
    pub(crate) fn has_secrets(&self) -> bool {
        self.token.is_some() || self.password.is_some()
    }

    /// Whether it has any kind of credentials.
    pub(crate) fn has_credentials(&self) -> bool {
        self.has_token() || self.username.is_some() || self.tls.client_cert.is_some()
    }
}
