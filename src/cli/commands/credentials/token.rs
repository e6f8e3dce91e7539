//! `pipewright token ...`.

use std::time::{Duration, SystemTime};

use clap::{Args, Subcommand};

use super::{
    Place,
    delivery::{Delivered, DeliveryArgs},
    entries, name, role,
    role::Roles,
};
use crate::{
    auth::{
        CredentialsError, CredentialsFile, Draft, Entry, Kind, NewToken, Principal, Proof,
        Replaced, Token,
    },
    cli::{
        exit::{Exit, Failure},
        present::{format::Format, out},
    },
    config::duration,
};

/// Longest lifetime of a token that expires: a hundred years.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

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
    /// Create a token and print it, which is the only time that it is shown, or write it to a file
    Create {
        /// Name of the principal that the token authenticates: 1 to 64 of A-Z a-z 0-9 . _ @ -
        #[arg(value_parser = name)]
        name: String,
        #[command(flatten)]
        roles: Roles,
        /// Lifetime of the token, such as 90d [default: until it is revoked]
        #[arg(long, value_name = "TIME", value_parser = lifetime)]
        expires: Option<Duration>,
        #[command(flatten)]
        delivery: DeliveryArgs,
    },
    /// Replace a token with a new one of the same principal
    ///
    /// The old token remains valid for an overlap, so that its users can switch to the new one.
    /// Clients and runners read the file of --token-file again when it changes.
    Rotate {
        /// Name of the token
        #[arg(value_parser = name)]
        name: String,
        /// How long the old token remains valid; a token that it replaced itself becomes invalid
        /// immediately
        #[arg(long, value_name = "TIME", default_value = "24h", value_parser = overlap)]
        overlap: Duration,
        /// Lifetime of the new token [default: that of the old one]
        #[arg(long, value_name = "TIME", value_parser = lifetime)]
        expires: Option<Duration>,
        #[command(flatten)]
        delivery: DeliveryArgs,
    },
    /// List tokens and their roles
    List,
    /// Revoke a token
    Revoke {
        /// Name of the token, or its id: the middle of pw_ID_SECRET
        token: String,
    },
}

/// Runs one of the token commands.
pub(crate) fn token(args: TokenArgs, format: Format) -> Result<Exit, Failure> {
    let file = args.place.file()?;
    match args.command {
        TokenCommand::List => return entries::list(&file, Kind::Token, format),
        TokenCommand::Create {
            name,
            roles,
            expires,
            delivery,
        } => create(&file, name, roles, expires, &delivery, format)?,
        TokenCommand::Rotate {
            name,
            overlap,
            expires,
            delivery,
        } => rotate(&file, &name, overlap, expires, &delivery, format)?,
        TokenCommand::Revoke { token } => {
            let revoked = file.change(|draft| match draft.revoke_replaced(&token) {
                Some(name) => Ok(format!("the replaced token of `{name}`, id {token}")),
                None => {
                    let name = draft.remove(Kind::Token, &token)?;
                    Ok(format!("the token `{name}`"))
                }
            })?;
            out::notice(&format!("revoked {revoked}"));
        }
    }
    Ok(Exit::Ok)
}

fn create(
    file: &CredentialsFile,
    name: String,
    roles: Roles,
    expires: Option<Duration>,
    delivery: &DeliveryArgs,
    format: Format,
) -> Result<(), Failure> {
    let new = NewToken::random();
    let now = SystemTime::now();
    let token = Token {
        id: new.id.clone(),
        hash: new.hash,
        create_time: Some(now),
        expire_time: expires.map(|expires| now + expires),
        replaced: None,
    };
    let grants = roles.grants();
    let what = format!(
        "made the token `{name}`, id {}, with {}, good {}",
        new.id,
        role::show(&grants),
        until(token.expire_time)
    );
    let entry = Entry {
        principal: Principal {
            name: name.clone(),
            grants,
        },
        proof: Proof::Token(token),
    };
    let delivered = Delivered {
        name: &name,
        id: &new.id,
        text: &new.text,
    };
    let delivery = delivery.prepare(delivered, format)?;
    file.change(|draft| draft.add(&entry))?;
    let undo = |draft: &mut Draft| draft.remove(Kind::Token, &name).map(drop);
    let place = delivery.deliver().map_err(undone(file, undo))?;
    out::notice(&format!("{what}; {place}"));
    Ok(())
}

fn rotate(
    file: &CredentialsFile,
    name: &str,
    overlap: Duration,
    expires: Option<Duration>,
    delivery: &DeliveryArgs,
    format: Format,
) -> Result<(), Failure> {
    let new = NewToken::random();
    let now = SystemTime::now();
    let delivered = Delivered {
        name,
        id: &new.id,
        text: &new.text,
    };
    let delivery = delivery.prepare(delivered, format)?;
    let (old, token) = file.change(|draft| {
        let old = draft.token(name)?.clone();
        let token = Token {
            id: new.id.clone(),
            hash: new.hash,
            create_time: Some(now),
            expire_time: expires.or(lifetime_of(&old, now)).map(|life| now + life),
            replaced: replaced(&old, now, overlap),
        };
        draft.set_token(name, &token)?;
        Ok((old, token))
    })?;
    let undo = |draft: &mut Draft| draft.set_token(name, &old);
    let place = delivery.deliver().map_err(undone(file, undo))?;
    let end_of_old = match &token.replaced {
        Some(replaced) => format!("is good until {}", moment(replaced.expire_time)),
        None => "is no longer good".to_owned(),
    };
    out::notice(&format!(
        "made another token for `{name}`, id {}, good {}; the old one, id {}, {end_of_old}; {place}",
        new.id,
        until(token.expire_time),
        old.id
    ));
    Ok(())
}

/// A token that was not delivered must not stay: no one has it.
fn undone(
    file: &CredentialsFile,
    undo: impl FnOnce(&mut Draft) -> Result<(), CredentialsError>,
) -> impl FnOnce(Failure) -> Failure {
    move |failure| match file.change(undo) {
        Ok(()) => match failure {
            Failure::Output(error) => Failure::Local(format!(
                "the token was not made: cannot write to standard output: {error}"
            )),
            failure => failure,
        },
        Err(error) => Failure::from(error),
    }
}

/// The remaining part of a token that is replaced; none if it has expired.
fn replaced(old: &Token, now: SystemTime, overlap: Duration) -> Option<Replaced> {
    let end = now + overlap;
    let end = old.expire_time.map_or(end, |own| own.min(end));
    (end > now).then(|| Replaced {
        id: old.id.clone(),
        hash: old.hash,
        expire_time: end,
    })
}

/// The lifetime of a token, if it expires. Without a creation time the lifetime is unknown:
/// the new token then gets the remaining time, and at least a day.
fn lifetime_of(token: &Token, now: SystemTime) -> Option<Duration> {
    let end = token.expire_time?;
    let begin = token.create_time.unwrap_or(now);
    Some(end.duration_since(begin).unwrap_or_default().max(DAY))
}

fn until(end: Option<SystemTime>) -> String {
    match end {
        Some(end) => format!("until {}", moment(end)),
        None => "until it is revoked".to_owned(),
    }
}

fn moment(time: SystemTime) -> impl std::fmt::Display {
    humantime::format_rfc3339_seconds(time)
}

/// A unit is required: a user who writes 90 means days more often than seconds.
fn lifetime(text: &str) -> Result<Duration, String> {
    if text.parse::<f64>().is_ok() {
        return Err(format!("`{text}` has no unit; write 90d, or 90s"));
    }
    let lifetime = duration::parse(text)?;
    if !lifetime.is_zero() && lifetime <= LONGEST {
        Ok(lifetime)
    } else {
        Err(format!(
            "`{text}` is no lifetime; it must be above 0 and at most 36500d"
        ))
    }
}

/// As [`lifetime`], or 0 for none.
fn overlap(text: &str) -> Result<Duration, String> {
    match duration::parse(text) {
        Ok(Duration::ZERO) => Ok(Duration::ZERO),
        _ => lifetime(text),
    }
}
