//! `pipewright context set`.

use std::{io, path::PathBuf};

use clap::Args;

use super::file::ContextFile;
use crate::cli::{
    connect::{
        caller::Credentials,
        remote::{address::Address, options::ConnectionOptions, secrets},
    },
    exit::Failure,
    present::out,
};

/// Create a context, or change the given fields of one
///
/// New credentials replace those of the context. The first context becomes the current one.
#[derive(Args, Debug)]
pub(crate) struct SetArgs {
    /// Name of the context: letters, digits, `.`, `_` and `-`
    #[arg(value_parser = context_name)]
    name: String,
    /// Address of the service: https://host:port, http://host:port, or host:port for http
    #[arg(long)]
    server: Option<Address>,
    /// Read a bearer token from standard input and store it
    #[arg(long, conflicts_with_all = ["token_file", "username"])]
    token_stdin: bool,
    /// File to read the bearer token from at each command
    #[arg(long, value_name = "FILE", conflicts_with = "username")]
    token_file: Option<PathBuf>,
    /// User to authenticate as; each command asks for the password
    #[arg(long)]
    username: Option<String>,
    /// Read the user's password from standard input and store it
    #[arg(long, requires = "username")]
    password_stdin: bool,
    /// CA certificates to trust instead of the system's, as PEM
    #[arg(long, value_name = "FILE")]
    ca_cert: Option<PathBuf>,
    /// TLS client certificate, as PEM
    #[arg(long, value_name = "FILE", requires = "client_key")]
    client_cert: Option<PathBuf>,
    /// Private key of the client certificate, as PEM
    #[arg(long, value_name = "FILE", requires = "client_cert")]
    client_key: Option<PathBuf>,
    /// Name to expect in the service's certificate, if it differs from the address
    #[arg(long, value_name = "NAME")]
    server_name: Option<String>,
}

impl SetArgs {
    pub(super) fn run(self, file: &ContextFile) -> Result<(), Failure> {
        let mut contexts = file.read()?;
        let name = self.name.clone();
        let old = contexts.all.get(&name).cloned().unwrap_or_default();
        contexts.all.insert(name.clone(), self.applied(old)?);
        let becomes_current = contexts.all.len() == 1 && contexts.current.is_none();
        if becomes_current {
            contexts.current = Some(name.clone());
        }
        file.write(&contexts)?;
        if becomes_current {
            out::notice(&format!("`{name}` is the current context"));
        }
        Ok(())
    }

    /// The context, with the given fields replaced.
    fn applied(self, mut context: ConnectionOptions) -> Result<ConnectionOptions, Failure> {
        let had = context.clone();
        if self.token_stdin || self.token_file.is_some() || self.username.is_some() {
            context.token = None;
            context.token_file = absolute(self.token_file)?;
            context.username = self.username;
            context.password = None;
        }
        if self.client_cert.is_some() {
            context.tls.client_cert = absolute(self.client_cert)?;
            context.tls.client_key = absolute(self.client_key)?;
        }
        context.tls.ca_cert = absolute(self.ca_cert)?.or(context.tls.ca_cert);
        context.tls.server_name = self.server_name.or(context.tls.server_name);
        if let Some(server) = self.server {
            context.server = Some(server);
            check_move(&had, &context, self.token_stdin || self.password_stdin)?;
        }
        // Read last, so that no secret is typed for a command that is refused.
        if self.token_stdin {
            let token = secrets::from_stdin("token")?;
            Credentials::bearer(&token).map_err(usage)?;
            context.token = Some(token);
        }
        if let Some(username) = &context.username {
            Credentials::basic(username, &"".into()).map_err(usage)?;
            if self.password_stdin {
                let password = secrets::from_stdin("password")?;
                Credentials::basic(username, &password).map_err(usage)?;
                context.password = Some(password);
            }
        }
        Ok(context)
    }
}

/// Credentials of one service are not silently sent to another when the address changes.
fn check_move(
    had: &ConnectionOptions,
    context: &ConnectionOptions,
    is_new_secret: bool,
) -> Result<(), Failure> {
    let from = had.server.clone().unwrap_or_default();
    let to = context.server.clone().unwrap_or_default();
    let is_kept = had.has_secrets() && context.has_secrets() && !is_new_secret
        || had.token_file.is_some() && had.token_file == context.token_file
        || had.tls.client_cert.is_some() && had.tls.client_cert == context.tls.client_cert;
    if from.is_same_as(&to) || !is_kept {
        return Ok(());
    }
    Err(Failure::Usage(format!(
        "the context has credentials for {from}; give those for {to} as well, or remove it first"
    )))
}

fn absolute(path: Option<PathBuf>) -> Result<Option<PathBuf>, Failure> {
    let absolute = path.map(std::path::absolute).transpose();
    let absolute = absolute.map_err(|error: io::Error| Failure::Usage(error.to_string()))?;
    if absolute
        .as_ref()
        .is_some_and(|path| path.to_str().is_none())
    {
        return Err(Failure::Usage(
            "a path in a context is UTF-8 text".to_owned(),
        ));
    }
    Ok(absolute)
}

fn usage(error: &str) -> Failure {
    Failure::Usage(error.to_owned())
}

fn context_name(text: &str) -> Result<String, String> {
    let is_fit = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if !text.is_empty() && text.chars().all(is_fit) {
        Ok(text.to_owned())
    } else {
        Err("a name is of letters, digits, `.`, `_` and `-`".to_owned())
    }
}
