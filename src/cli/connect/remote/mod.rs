//! Common arguments of all commands that call a service.

pub(crate) mod address;
pub(crate) mod options;
pub(crate) mod secrets;
mod settle;
mod tls;

use std::{path::PathBuf, time::Duration};

use clap::Args;
use secrecy::SecretString;
use tonic::transport::Endpoint;

use crate::{
    cli::{
        commands::context::ContextFile,
        connect::{caller::Credentials, client::Client, connection::Connection, trace::Trace},
        exit::Failure,
        present::out,
    },
    config::duration,
};
pub(crate) use address::Address;
pub(crate) use options::{ConnectionOptions, TlsFiles};
use settle::{Caller, Target, settle};

/// The address of the service, and the credentials of the caller.
#[derive(Args, Debug)]
#[command(next_help_heading = "Common options")]
pub(crate) struct Remote {
    /// Address of the service: https://host:port, http://host:port, or host:port for http
    ///
    /// [default: the context's, else http://127.0.0.1:50051]
    #[arg(long, global = true, env = "PIPEWRIGHT_SERVER", hide_env_values = true)]
    server: Option<Address>,
    /// Context to use, from `pipewright context set` [default: the current context]
    #[arg(
        long,
        global = true,
        env = "PIPEWRIGHT_CONTEXT",
        hide_env_values = true,
        value_name = "NAME"
    )]
    context: Option<String>,
    /// Bearer token; other users of this machine can see it in the process list, so prefer
    /// --token-file or the environment variable
    ///
    /// [env: PIPEWRIGHT_TOKEN]
    #[arg(long, global = true, conflicts_with_all = ["token_file", "username", "password"])]
    token: Option<SecretString>,
    /// File with the bearer token; read again when it changes, refused if others can read it
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        conflicts_with_all = ["username", "password"]
    )]
    token_file: Option<PathBuf>,
    /// User to authenticate as; asks for the password if none is given
    ///
    /// [env: PIPEWRIGHT_USERNAME]
    #[arg(long, global = true)]
    username: Option<String>,
    /// Password of that user; other users of this machine can see it in the process list, so
    /// prefer the environment variable
    ///
    /// [env: PIPEWRIGHT_PASSWORD]
    #[arg(long, global = true)]
    password: Option<SecretString>,
    /// CA certificates to trust instead of the system's, as PEM
    #[arg(long, global = true, value_name = "FILE")]
    ca_cert: Option<PathBuf>,
    /// TLS client certificate, as PEM
    #[arg(long, global = true, value_name = "FILE")]
    client_cert: Option<PathBuf>,
    /// Private key of the client certificate, as PEM
    #[arg(long, global = true, value_name = "FILE")]
    client_key: Option<PathBuf>,
    /// Name to expect in the service's certificate, if it differs from the address
    #[arg(long, global = true, value_name = "NAME")]
    server_name: Option<String>,
    /// Allow credentials to be sent in plaintext, which others on the network can read
    #[arg(long, global = true)]
    insecure: bool,
    /// Maximum time to wait for a response
    #[arg(long, global = true, default_value = "30s", value_parser = duration::parse)]
    pub(crate) timeout: Duration,
}

impl Remote {
    /// A client of the service, whose calls are part of the caller's trace.
    pub(crate) fn client(&self) -> Result<Client, Failure> {
        let mut connection = self.connection()?;
        connection.headers.trace = Trace::of_environment();
        Ok(Client::new(connection, self.timeout))
    }

    /// The service, by the options, the environment and the contexts.
    pub(crate) fn connection(&self) -> Result<Connection, Failure> {
        let contexts = match ContextFile::locate() {
            Some(file) => file.read()?,
            None => Default::default(),
        };
        let context = contexts.chosen(self.context.as_deref());
        let context = context.map_err(Failure::Usage)?;
        let context = context.map(|(name, given)| (name, given.clone()));
        let target = settle(self.given(), ConnectionOptions::of_environment(), context);
        let target = target.map_err(Failure::Usage)?;
        if let Some(notice) = &target.notice {
            out::notice(notice);
        }
        connect(target, self.insecure)
    }

    fn given(&self) -> ConnectionOptions {
        ConnectionOptions {
            server: self.server.clone(),
            token: self.token.clone(),
            token_file: self.token_file.clone(),
            username: self.username.clone(),
            password: self.password.clone(),
            tls: TlsFiles {
                ca_cert: self.ca_cert.clone(),
                client_cert: self.client_cert.clone(),
                client_key: self.client_key.clone(),
                server_name: self.server_name.clone(),
            },
        }
    }
}

/// Refuses, before anything is sent, to send credentials in plaintext over a network.
fn connect(target: Target, allows_clear_text: bool) -> Result<Connection, Failure> {
    let Target {
        server,
        caller,
        tls,
        notice: _,
    } = target;
    let is_private = server.is_tls() || server.is_loopback() || allows_clear_text;
    if !is_private && !matches!(caller, Caller::Anonymous) {
        return Err(Failure::Usage(format!(
            "credentials would be sent to {server} in plaintext; use https://, or --insecure on a \
             network that you trust"
        )));
    }
    let mut endpoint = Endpoint::from(server.uri());
    if server.is_tls() {
        endpoint = tls::encrypt(endpoint, &tls).map_err(Failure::Usage)?;
    } else if tls != TlsFiles::default() {
        return Err(Failure::Usage(format!(
            "certificates and --server-name are for https:// addresses, and {server} is none"
        )));
    }
    Ok(Connection {
        has_certificate: tls.client_cert.is_some(),
        ..Connection::new(endpoint, credentials(caller)?)
    })
}

fn credentials(caller: Caller) -> Result<Credentials, Failure> {
    let credentials = match caller {
        Caller::Anonymous => Ok(Credentials::default()),
        Caller::Token(token) => Credentials::bearer(&token),
        Caller::TokenFile(file) => return Credentials::file(file),
        Caller::User(name, Some(password)) => Credentials::basic(&name, &password),
        Caller::User(name, None) => Credentials::basic(&name, &secrets::ask_password(&name)?),
    };
    credentials.map_err(|error| Failure::Usage(error.to_owned()))
}

/// Parses `KEY=VALUE`; a value may have further equals signs.
pub(crate) fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("it is written KEY=VALUE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_not_sent_in_plaintext() {
        let connected = |server: &str, caller, allowed| {
            let target = Target {
                server: server.parse().unwrap(),
                caller,
                tls: TlsFiles::default(),
                notice: None,
            };
            connect(target, allowed).map(|connection| connection.headers.credentials.is_some())
        };
        let token = || Caller::Token("t0ken".into());
        for server in ["127.0.0.1:1", "http://localhost:1", "[::1]:1"] {
            assert!(connected(server, token(), false).unwrap(), "{server}");
        }
        let callers = [
            token(),
            // Refused before the file is read and before a password is asked for.
            Caller::TokenFile("/nowhere".into()),
            Caller::User("me".to_owned(), None),
        ];
        for caller in callers {
            let failure = connected("ci.test:1", caller, false).unwrap_err();
            assert!(matches!(failure, Failure::Usage(_)));
            let message = failure.message().unwrap();
            assert!(
                message.contains("to http://ci.test:1 in plaintext"),
                "{message}"
            );
        }
        assert!(connected("ci.test:1", token(), true).unwrap());
        assert!(!connected("ci.test:1", Caller::Anonymous, false).unwrap());
    }

    #[test]
    fn nothing_that_is_secret_is_in_what_is_debugged() {
        #[derive(Debug, clap::Parser)]
        struct Line {
            #[command(flatten)]
            remote: Remote,
        }
        let parse = |line: &str| <Line as clap::Parser>::try_parse_from(line.split(' '));
        for line in ["x --token s3cret", "x --username me --password s3cret"] {
            let line = parse(line).unwrap();
            assert!(!format!("{line:?}").contains("s3cret"), "{line:?}");
        }
        for line in [
            "x --token s3cret --username me",
            "x --token s3cret --token-file f",
            "x --token-file f --password s3cret",
        ] {
            let error = parse(line).unwrap_err().to_string();
            assert!(
                error.contains("cannot be used with") && !error.contains("s3cret"),
                "{error}"
            );
        }
    }

    #[test]
    fn variables_are_cut_at_the_first_equals_sign() {
        let pair = |key: &str, value: &str| Ok((key.to_owned(), value.to_owned()));
        assert_eq!(key_value("A=b=c"), pair("A", "b=c"));
        assert_eq!(key_value("A="), pair("A", ""));
        assert!(key_value("A").is_err() && key_value("=b").is_err());
    }
}
