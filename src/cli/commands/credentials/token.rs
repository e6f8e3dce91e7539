//! `pipewright token ...`.

use std::time::{Duration, SystemTime};

use clap::{Args, Subcommand};
use secrecy::ExposeSecret;

use super::{Place, entries, name, role, role::Roles};
use crate::{
    auth::{CredentialsFile, Entry, Kind, NewToken, Principal, Proof, Token},
    cli::{
        exit::{Exit, Failure},
        present::{format::Format, out},
    },
    config::duration,
};

/// Longest life of a token that ends at all: a hundred years.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// Say which programs may call a service with a bearer token
///
/// The commands change a credentials file. A service that uses it reads it again by itself:
/// a token that is revoked is out within about a second.
#[derive(Args, Debug)]
pub(crate) struct TokenArgs {
    #[command(flatten)]
    place: Place,
    #[command(subcommand)]
    command: TokenCommand,
}

#[derive(Debug, Subcommand)]
enum TokenCommand {
    /// Make a token and print it, this once
    Create {
        /// Name under which its bearer acts: 1 to 64 of A-Z a-z 0-9 . _ @ -
        #[arg(value_parser = name)]
        name: String,
        #[command(flatten)]
        roles: Roles,
        /// How long the token is good, such as 90d; until it is revoked when unset
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
        } => create(&file, name, roles, expires)?,
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
) -> Result<(), Failure> {
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
    out::notice(&told);
    out::print_line(new.text.expose_secret())
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
