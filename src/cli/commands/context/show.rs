//! `pipewright context list` and `pipewright context show`; neither shows a secret.

use clap::Args;

use super::file::ContextFile;
use crate::cli::{
    connect::remote::options::ConnectionOptions,
    exit::Failure,
    present::{out, table::table, text},
};

/// List the contexts; the current one has a `*`
#[derive(Args, Debug)]
pub(crate) struct ListArgs {}

impl ListArgs {
    pub(super) fn run(self, file: &ContextFile) -> Result<(), Failure> {
        let contexts = file.read()?;
        let row = |(name, given): (&String, &ConnectionOptions)| {
            let is_current = contexts.current.as_ref() == Some(name);
            [
                if is_current { "*" } else { "" }.to_owned(),
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
    pub(super) fn run(self, file: &ContextFile) -> Result<(), Failure> {
        let contexts = file.read()?;
        let chosen = contexts
            .chosen(self.name.as_deref())
            .map_err(Failure::NotFound)?;
        let Some((name, given)) = chosen else {
            return Err(Failure::NotFound(
                "no context is the current one; see `pipewright context list`".to_owned(),
            ));
        };
        out::print_line(&shown(name, given))?;
        out::print_line(&text::one_line(&format!("file: {}", file.path().display())))
    }
}

fn shown(name: &str, given: &ConnectionOptions) -> String {
    let path =
        |path: &Option<std::path::PathBuf>| path.as_ref().map(|path| path.display().to_string());
    let lines = [
        ("name", Some(name.to_owned())),
        (
            "server",
            Some(given.server.clone().unwrap_or_default().to_string()),
        ),
        ("credentials", Some(credentials(given))),
        ("token file", path(&given.token_file)),
        ("CA certificates", path(&given.tls.ca_cert)),
        ("client certificate", path(&given.tls.client_cert)),
        ("client key", path(&given.tls.client_key)),
        ("server name", given.tls.server_name.clone()),
    ];
    let lines = lines
        .into_iter()
        .filter_map(|(what, value)| Some(text::one_line(&format!("{what}: {}", value?))));
    lines.collect::<Vec<_>>().join("\n")
}

/// The kind of credentials that a context has.
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
    match kinds.is_empty() {
        true => "none".to_owned(),
        false => kinds.join(", "),
    }
}
