//! `pipewright context list` and `pipewright context show`; neither shows a secret.

use std::collections::BTreeMap;

use clap::Args;
use serde_json::{Map, Value};

use super::file::ContextFile;
use crate::cli::{
    connect::remote::options::ConnectionOptions,
    exit::Failure,
    present::{format::Format, json, out, table::table, text},
};

/// List the contexts; the current one has a `*`
#[derive(Args, Debug)]
pub(crate) struct ListArgs {}

impl ListArgs {
    pub(super) fn run(self, file: &ContextFile, format: Format) -> Result<(), Failure> {
        let contexts = file.read()?;
        let is_current = |name: &String| contexts.current.as_ref() == Some(name);
        if format == Format::Json {
            let each = |(name, given): (&String, &ConnectionOptions)| {
                let mut object = object(&facts(name, given));
                object.insert("current".to_owned(), is_current(name).into());
                object
            };
            let all: Vec<_> = contexts.all.iter().map(each).collect();
            return out::print_line(&json::pretty_value(&BTreeMap::from([("contexts", all)])));
        }
        let row = |(name, given): (&String, &ConnectionOptions)| {
            [
                if is_current(name) { "*" } else { "" }.to_owned(),
                name.clone(),
                given.server.clone().unwrap_or_default().to_string(),
                credentials(given),
            ]
        };
        let header = ["", "NAME", "SERVER", "CREDENTIALS"];
        out::print_line(&table(header, contexts.all.iter().map(row)))
    }
}

/// Show a context, by default the current one
#[derive(Args, Debug)]
pub(crate) struct ShowArgs {
    /// Name of the context
    name: Option<String>,
}

impl ShowArgs {
    pub(super) fn run(self, file: &ContextFile, format: Format) -> Result<(), Failure> {
        let contexts = file.read()?;
        let chosen = contexts
            .chosen(self.name.as_deref())
            .map_err(Failure::NotFound)?;
        let Some((name, given)) = chosen else {
            return Err(Failure::NotFound(
                "there is no current context; see `pipewright context list`".to_owned(),
            ));
        };
        let mut facts = facts(name, given);
        facts.push(("file", "file", file.path().display().to_string()));
        out::print_line(&match format {
            Format::Table => lines(&facts),
            Format::Json => json::pretty_value(&object(&facts)),
        })
    }
}

/// The fields of a context: label, key in the file, and value.
type Fact = (&'static str, &'static str, String);

fn lines(facts: &[Fact]) -> String {
    let lines = facts
        .iter()
        .map(|(label, _, value)| text::one_line(&format!("{label}: {value}")));
    lines.collect::<Vec<_>>().join("\n")
}

fn object(facts: &[Fact]) -> Map<String, Value> {
    let fields = facts.iter();
    fields
        .map(|(_, key, value)| ((*key).to_owned(), value.as_str().into()))
        .collect()
}

/// All fields except secrets.
fn facts(name: &str, given: &ConnectionOptions) -> Vec<Fact> {
    let path =
        |path: &Option<std::path::PathBuf>| path.as_ref().map(|path| path.display().to_string());
    let tls = &given.tls;
    let server = given.server.clone().unwrap_or_default().to_string();
    let facts = [
        ("name", "name", Some(name.to_owned())),
        ("server", "server", Some(server)),
        ("credentials", "credentials", Some(credentials(given))),
        ("token file", "token_file", path(&given.token_file)),
        ("CA certificates", "ca_cert", path(&tls.ca_cert)),
        ("client certificate", "client_cert", path(&tls.client_cert)),
        ("client key", "client_key", path(&tls.client_key)),
        ("server name", "server_name", tls.server_name.clone()),
    ];
    let facts = facts.into_iter();
    facts
        .filter_map(|(label, key, value)| Some((label, key, value?)))
        .collect()
}

/// The kind of credentials in a context.
fn credentials(given: &ConnectionOptions) -> String {
    let caller = match (&given.token, &given.token_file, &given.username) {
        (Some(_), ..) => "token".to_owned(),
        (None, Some(_), _) => "token in a file".to_owned(),
        (None, None, Some(user)) if given.password.is_some() => {
            format!("user {user} with password")
        }
        (None, None, Some(user)) => format!("user {user}"),
        (None, None, None) => String::new(),
    };
    let certificate = given
        .tls
        .client_cert
        .as_ref()
        .map(|_| "client certificate".to_owned());
    let kinds: Vec<_> = [
        Some(caller).filter(|caller| !caller.is_empty()),
        certificate,
    ]
    .into_iter()
    .flatten()
    .collect();
    if kinds.is_empty() {
        "none".to_owned()
    } else {
        kinds.join(", ")
    }
}
