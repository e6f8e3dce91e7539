//! Lists of principals.

use std::{collections::BTreeMap, time::SystemTime};

use serde::Serialize;

use super::role;
use crate::{
    auth::{CredentialsFile, Entry, Kind, Proof, Replaced, Subject, Token},
    cli::{
        exit::{Exit, Failure},
        present::{format::Format, json, out, table::table},
    },
};

/// Prints all entries of a kind, in the order of the file.
pub(super) fn list(file: &CredentialsFile, kind: Kind, format: Format) -> Result<Exit, Failure> {
    let mut entries = file.entries()?;
    entries.retain(|entry| entry.kind() == kind);
    let now = SystemTime::now();
    out::print_line(&match format {
        Format::Table => in_table(kind, &entries, now),
        Format::Json => in_json(kind, &entries, now),
    })?;
    Ok(Exit::Ok)
}

fn in_table(kind: Kind, entries: &[Entry], now: SystemTime) -> String {
    let facts = |entry: &Entry| {
        (
            entry.principal.name.clone(),
            role::show(&entry.principal.grants),
        )
    };
    let tokens = || entries.iter().filter_map(with_token);
    let subjects = || entries.iter().filter_map(with_subject);
    match kind {
        Kind::User => table(
            ["NAME", "ROLES"],
            entries.iter().map(facts).map(<[_; 2]>::from),
        ),
        Kind::Token => {
            let header = ["NAME", "ID", "STATE", "CREATED", "EXPIRES", "ROLES"];
            let rows = |(entry, token): (&Entry, &Token)| {
                let (name, roles) = facts(entry);
                let state = state(token, now).to_lowercase();
                let created = moment(token.create_time).unwrap_or_default();
                let expires = moment(token.expire_time).unwrap_or_else(|| "never".to_owned());
                let replaced = replaced(token, now).map(|replaced| {
                    let (name, roles) = facts(entry);
                    let expires = moment(Some(replaced.expire_time)).unwrap_or_default();
                    let (state, created) = ("replaced".to_owned(), String::new());
                    [name, replaced.id.clone(), state, created, expires, roles]
                });
                let current = [name, token.id.clone(), state, created, expires, roles];
                [Some(current), replaced].into_iter().flatten()
            };
            table(header, tokens().flat_map(rows))
        }
        Kind::Certificate => {
            let row = |(entry, subject): (&Entry, &Subject)| {
                let (name, roles) = facts(entry);
                [name, subject.to_string(), roles]
            };
            table(["NAME", "SUBJECT", "ROLES"], subjects().map(row))
        }
    }
}

#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    create_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expire_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    replaced: Option<ShownReplaced>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject_alt_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    common_name: Option<String>,
    roles: BTreeMap<String, Vec<String>>,
}

/// The replaced token, while it is valid.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownReplaced {
    id: String,
    expire_time: Option<String>,
}

fn in_json(kind: Kind, entries: &[Entry], now: SystemTime) -> String {
    let shown = |entry: &Entry| {
        let mut shown = Shown {
            name: entry.principal.name.clone(),
            roles: role::by_project(&entry.principal.grants),
            ..Shown::default()
        };
        match &entry.proof {
            Proof::Password(_) => {}
            Proof::Token(token) => {
                shown.id = Some(token.id.clone());
                shown.state = Some(state(token, now));
                shown.create_time = moment(token.create_time);
                shown.expire_time = moment(token.expire_time);
                shown.replaced = replaced(token, now).map(|replaced| ShownReplaced {
                    id: replaced.id.clone(),
                    expire_time: moment(Some(replaced.expire_time)),
                });
            }
            Proof::Certificate(Subject::AltName(name)) => {
                shown.subject_alt_name = Some(name.clone());
            }
            Proof::Certificate(Subject::CommonName(name)) => shown.common_name = Some(name.clone()),
        }
        shown
    };
    let list: Vec<_> = entries.iter().map(shown).collect();
    json::pretty_value(&BTreeMap::from([(format!("{kind}s"), list)]))
}

fn with_token(entry: &Entry) -> Option<(&Entry, &Token)> {
    match &entry.proof {
        Proof::Token(token) => Some((entry, token)),
        Proof::Password(_) | Proof::Certificate(_) => None,
    }
}

fn with_subject(entry: &Entry) -> Option<(&Entry, &Subject)> {
    match &entry.proof {
        Proof::Certificate(subject) => Some((entry, subject)),
        Proof::Password(_) | Proof::Token(_) => None,
    }
}

fn state(token: &Token, now: SystemTime) -> &'static str {
    if token.expire_time.is_some_and(|end| end <= now) {
        "EXPIRED"
    } else {
        "ACTIVE"
    }
}

/// The token that it has replaced, while that is valid.
fn replaced(token: &Token, now: SystemTime) -> Option<&Replaced> {
    let replaced = token.replaced.as_ref();
    replaced.filter(|replaced| replaced.expire_time > now)
}

fn moment(at: Option<SystemTime>) -> Option<String> {
    // Times in the file may be before 1970, which cannot be formatted.
    let at = at?.max(SystemTime::UNIX_EPOCH);
    Some(humantime::format_rfc3339_seconds(at).to_string())
}
