//! Precedence of the sources of options: the command line, then the environment, then the
//! context, then the default.

use std::path::PathBuf;

use secrecy::SecretString;

use super::{
    address::Address,
    options::{ConnectionOptions, TlsFiles},
};

/// The service to connect to, and the identity of the caller.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) server: Address,
    pub(crate) caller: Caller,
    pub(crate) tls: TlsFiles,
    /// A note for the user.
    pub(crate) notice: Option<String>,
}

/// The identity that the caller authenticates with.
#[derive(Debug)]
pub(crate) enum Caller {
    /// No credentials in a header; there may be a client certificate.
    Anonymous,
    Token(SecretString),
    TokenFile(PathBuf),
    /// A user; asks for the password if none is given.
    User(String, Option<SecretString>),
}

/// Merges the options of the sources. A context is given with its name; its credentials are
/// for its own service alone.
pub(crate) fn settle(
    flags: ConnectionOptions,
    environment: ConnectionOptions,
    context: Option<(&str, ConnectionOptions)>,
) -> Result<Target, String> {
    let named = flags.server.clone().or(environment.server.clone());
    let (context, set_aside) = match (context, &named) {
        (Some((name, context)), Some(server)) => {
            let own = context.server.clone().unwrap_or_default();
            if own.is_same_as(server) {
                (context, None)
            } else {
                let notice = format!(
                    "the credentials of context `{name}` are for {own} and not sent to {server}"
                );
                (
                    ConnectionOptions::default(),
                    context.has_credentials().then_some(notice),
                )
            }
        }
        (context, _) => (
            context.map(|(_, context)| context).unwrap_or_default(),
            None,
        ),
    };
    let server = named.or(context.server.clone()).unwrap_or_default();
    let tls = tls(&flags.tls, &context.tls);
    let caller = caller(flags, environment, context)?;
    let is_anonymous = matches!(caller, Caller::Anonymous) && tls.client_cert.is_none();
    Ok(Target {
        server,
        notice: set_aside.filter(|_| is_anonymous),
        caller,
        tls,
    })
}

/// A key belongs to its certificate, so both come from the same source.
fn tls(flags: &TlsFiles, context: &TlsFiles) -> TlsFiles {
    let identity = match &flags.client_cert {
        Some(_) => flags,
        None => context,
    };
    let first = |flag: &Option<PathBuf>, other: &Option<PathBuf>| flag.clone().or(other.clone());
    TlsFiles {
        ca_cert: first(&flags.ca_cert, &context.ca_cert),
        client_cert: identity.client_cert.clone(),
        client_key: identity.client_key.clone(),
        server_name: flags.server_name.clone().or(context.server_name.clone()),
    }
}

/// The first source that has credentials wins; a password may come from a later one.
fn caller(
    flags: ConnectionOptions,
    environment: ConnectionOptions,
    context: ConnectionOptions,
) -> Result<Caller, String> {
    let is_user = flags.username.is_some() || flags.password.is_some();
    if flags.has_token() && is_user {
        return Err("a token and a user are both given; give one of them".to_owned());
    }
    if let Some(caller) = token(&flags) {
        return Ok(caller);
    }
    if !is_user {
        if environment.has_token() && environment.username.is_some() {
            return Err(
                "PIPEWRIGHT_TOKEN and PIPEWRIGHT_USERNAME are both set; unset one of them"
                    .to_owned(),
            );
        }
        if let Some(caller) = token(&environment) {
            return Ok(caller);
        }
        if environment.username.is_none()
            && let Some(caller) = token(&context)
        {
            return Ok(caller);
        }
    }
    let name = flags
        .username
        .or(environment.username)
        .or(context.username.clone());
    let Some(name) = name else {
        return match flags.password {
            Some(_) => Err("--password needs --username".to_owned()),
            None => Ok(Caller::Anonymous),
        };
    };
    let of_context = context
        .password
        .filter(|_| context.username.as_ref() == Some(&name));
    let password = flags.password.or(environment.password).or(of_context);
    Ok(Caller::User(name, password))
}

fn token(given: &ConnectionOptions) -> Option<Caller> {
    match (&given.token, &given.token_file) {
        (Some(token), _) => Some(Caller::Token(token.clone())),
        (None, Some(file)) => Some(Caller::TokenFile(file.clone())),
        (None, None) => None,
    }
}

#[cfg(test)]
#[path = "settle_tests.rs"]
mod tests;
