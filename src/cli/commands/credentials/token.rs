//! `pipewright token ...`.

use std::{
    collections::BTreeMap,
    io,
    time::{Duration, SystemTime},
};

use clap::{Args, Subcommand};
use secrecy::ExposeSecret;

use super::{Place, entries, name, role, role::Roles};
use crate::{
    auth::{CredentialsFile, Entry, Kind, NewToken, Principal, Proof, Token},
    cli::{
        exit::{Exit, Failure},
        present::{format::Format, json, out},
    },
    config::duration,
};

/// Longest life of a token that ends at all: a hundred years.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// Manage bearer tokens, with which programs authenticate
///
/// The commands change a credentials file. A service that uses the file reloads it by itself:
/// the sessions of a token that is revoked end within about a second.
#[derive(Args, Debug)]
pub(crate) struct TokenArgs {
    #[command(flatten)]
    place: Place,
    #[command(subcommand)]
    command: TokenCommand,
}

#[derive(Debug, Subcommand)]
enum TokenCommand {
    /// Create a token and print it, which is the only time that it is shown
    Create {
        /// Name of the principal that the token authenticates: 1 to 64 of A-Z a-z 0-9 . _ @ -
        #[arg(value_parser = name)]
        name: String,
        #[command(flatten)]
        roles: Roles,
        /// Lifetime of the token, such as 90d [default: until it is revoked]
        #[arg(long, value_name = "TIME", value_parser = lifetime)]
        expires: Option<Duration>,
    },
    /// List tokens and their roles
    List,
    /// Revoke a token
    Revoke {
        /// Name of the token, or its id: the middle of pw_ID_SECRET
        token: String,
    },
}

/// Does one of the token commands.
pub(crate) fn token(args: TokenArgs, format: Format) -> Result<Exit, Failure> {
    let file = args.place.file()?;
    match args.command {
        TokenCommand::List => return entries::list(&file, Kind::Token, format),
        TokenCommand::Create {
            name,
            roles,
            expires,
        } => create(&file, name, roles, expires, format)?,
        TokenCommand::Revoke { token } => {
            let name = file.change(|draft| draft.remove(Kind::Token, &token))?;
            out::notice(&format!("revoked the token `{name}`"));
        }
    }
    Ok(Exit::Ok)
}

fn create(
    file: &CredentialsFile,
    name: String,
    roles: Roles,
    expires: Option<Duration>,
    format: Format,
) -> Result<(), Failure> {
    if out::is_discarded() {
        return Err(Failure::Local(
            "standard output is closed or is the null device, so that the token would be lost"
                .to_owned(),
        ));
    }
    let new = NewToken::random();
    let now = SystemTime::now();
    let token = Token {
        id: new.id.clone(),
        hash: new.hash,
        create_time: Some(now),
        expire_time: expires.map(|expires| now + expires),
    };
    let until = match token.expire_time {
        Some(end) => format!("until {}", humantime::format_rfc3339_seconds(end)),
        None => "until it is revoked".to_owned(),
    };
    let grants = roles.grants();
    let told = format!(
        "made the token `{name}`, id {}, with {}, good {until}; it is shown only now",
        new.id,
        role::show(&grants)
    );
    let entry = Entry {
        principal: Principal { name, grants },
        proof: Proof::Token(token),
    };
    file.change(|draft| draft.add(&entry))?;
    let printed = out::print_line(&match format {
        Format::Table => new.text.expose_secret().to_owned(),
        Format::Json => json::compact_value(&BTreeMap::from([
            ("name", entry.principal.name.as_str()),
            ("id", &new.id),
            ("token", new.text.expose_secret()),
        ])),
    });
    if let Err(Failure::Output(error)) = printed {
        return Err(lost(file, &entry.principal.name, &error));
    }
    out::notice(&told);
    Ok(())
}

/// Removes a token that nobody has seen, so that a create that fails has made none.
fn lost(file: &CredentialsFile, name: &str, error: &io::Error) -> Failure {
    let removed = file.change(|draft| draft.remove(Kind::Token, name));
    Failure::Local(match removed {
        Ok(_) => format!("the token was not made: cannot write to standard output: {error}"),
        Err(why) => format!(
            "the token `{name}` was made and could not be printed ({error}), nor removed \
             ({why}); revoke it"
        ),
    })
}

/// With its unit: who writes 90 means days more often than seconds.
fn lifetime(text: &str) -> Result<Duration, String> {
    if text.parse::<f64>().is_ok() {
        return Err(format!("`{text}` has no unit; write 90d, or 90s"));
    }
    let lifetime = duration::parse(text)?;
    match !lifetime.is_zero() && lifetime <= LONGEST {
        true => Ok(lifetime),
        false => Err(format!(
            "`{text}` is no lifetime; it must be above 0 and at most 36500d"
        )),
    }
}
