//! Contexts: services by name, each with its connection options.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use secrecy::ExposeSecret;
use toml::{Table, Value};

use crate::cli::{connect::remote::options::ConnectionOptions, present::suggestion::nearest};

const KEYS: [&str; 9] = [
    "server",
    "token",
    "token_file",
    "username",
    "password",
    "ca_cert",
    "client_cert",
    "client_key",
    "server_name",
];

/// The content of a file of contexts.
#[derive(Debug, Default)]
pub(crate) struct Contexts {
    /// The context of commands that name none.
    pub(crate) current: Option<String>,
    /// All of them.
    pub(crate) all: BTreeMap<String, ConnectionOptions>,
}

impl Contexts {
    /// Parses a file; paths in it are relative to its directory. An error names the place
    /// and never a value, which may be a secret.
    pub(crate) fn parse(text: &str, directory: &Path) -> Result<Self, String> {
        let table: Table = text.parse().map_err(|error| at_line(text, &error))?;
        let mut contexts = Self::default();
        for (key, value) in table {
            match (key.as_str(), value) {
                ("current", Value::String(name)) => contexts.current = Some(name),
                ("contexts", Value::Table(all)) => {
                    for (name, context) in all {
                        let given = context_of(&name, context, directory)?;
                        contexts.all.insert(name, given);
                    }
                }
                ("current", _) => return Err("`current` is a name in quotes".to_owned()),
                ("contexts", _) => return Err("`contexts` is a table".to_owned()),
                (key, _) => return Err(unknown("key", key, &["current", "contexts"])),
            }
        }
        Ok(contexts)
    }

    /// The text of a file with these contexts.
    pub(crate) fn to_toml(&self) -> String {
        let mut table = Table::new();
        if let Some(current) = &self.current {
            table.insert("current".to_owned(), current.clone().into());
        }
        let all: Table = self
            .all
            .iter()
            .map(|(name, given)| (name.clone(), to_value(given)))
            .collect();
        table.insert("contexts".to_owned(), all.into());
        table.to_string()
    }

    /// The context of this name, or the current one.
    pub(crate) fn chosen(
        &self,
        name: Option<&str>,
    ) -> Result<Option<(&str, &ConnectionOptions)>, String> {
        let Some(name) = name.or(self.current.as_deref()) else {
            return Ok(None);
        };
        match self.all.get_key_value(name) {
            Some((name, given)) => Ok(Some((name, given))),
            None => Err(self.unknown_name(name)),
        }
    }

    /// The message that there is no such context, with a suggestion.
    pub(crate) fn unknown_name(&self, name: &str) -> String {
        let names: Vec<&str> = self.all.keys().map(String::as_str).collect();
        if names.is_empty() {
            format!("unknown context `{name}`; there are none")
        } else {
            unknown("context", name, &names)
        }
    }

    /// Whether any of them holds a token or a password.
    pub(crate) fn has_secrets(&self) -> bool {
        self.all.values().any(ConnectionOptions::has_secrets)
    }
}

fn at_line(text: &str, error: &toml::de::Error) -> String {
    let line = error.span().and_then(|span| text.get(..span.start));
    let line = line.map_or(1, |before| 1 + before.matches('\n').count());
    format!("line {line}: it is not valid TOML")
}

fn unknown(what: &str, name: &str, known: &[&str]) -> String {
    match nearest(name, known) {
        Some(near) => format!("unknown {what} `{name}`; did you mean `{near}`?"),
        None => format!("unknown {what} `{name}`; known are {}", known.join(", ")),
    }
}

fn context_of(name: &str, context: Value, directory: &Path) -> Result<ConnectionOptions, String> {
    let place = format!("contexts.{name}");
    let Value::Table(table) = context else {
        return Err(format!("`{place}` is a table"));
    };
    let mut given = ConnectionOptions::default();
    for (key, value) in table {
        let Value::String(value) = value else {
            return Err(if KEYS.contains(&key.as_str()) {
                format!("`{place}.{key}` is text in quotes")
            } else {
                format!("{place}: {}", unknown("key", &key, &KEYS))
            });
        };
        let path = |value: &str| Some(directory.join(value));
        match key.as_str() {
            "server" => {
                let server = value.parse();
                given.server = Some(server.map_err(|error| format!("{place}.server: {error}"))?);
            }
            "token" => given.token = Some(value.into()),
            "token_file" => given.token_file = path(&value),
            "username" => given.username = Some(value),
            "password" => given.password = Some(value.into()),
            "ca_cert" => given.tls.ca_cert = path(&value),
            "client_cert" => given.tls.client_cert = path(&value),
            "client_key" => given.tls.client_key = path(&value),
            "server_name" => given.tls.server_name = Some(value),
            key => return Err(format!("{place}: {}", unknown("key", key, &KEYS))),
        }
    }
    let callers = [
        given.token.is_some(),
        given.token_file.is_some(),
        given.username.is_some(),
    ];
    if callers.into_iter().filter(|is_given| *is_given).count() > 1 {
        return Err(format!(
            "{place}: token, token_file and username exclude each other"
        ));
    }
    if given.password.is_some() && given.username.is_none() {
        return Err(format!("{place}: password needs username"));
    }
    Ok(given)
}

fn to_value(given: &ConnectionOptions) -> Value {
    // Destructured, so that the compiler reports a new option here.
    let ConnectionOptions {
        server,
        token,
        token_file,
        username,
        password,
        tls,
    } = given;
    let secret = |secret: &secrecy::SecretString| secret.expose_secret().to_owned();
    let path = |path: &PathBuf| path.to_string_lossy().into_owned();
    let values = [
        server.as_ref().map(ToString::to_string),
        token.as_ref().map(secret),
        token_file.as_ref().map(path),
        username.clone(),
        password.as_ref().map(secret),
        tls.ca_cert.as_ref().map(path),
        tls.client_cert.as_ref().map(path),
        tls.client_key.as_ref().map(path),
        tls.server_name.clone(),
    ];
    let pairs = KEYS.into_iter().zip(values);
    let table: Table = pairs
        .filter_map(|(key, value)| Some((key.to_owned(), value?.into())))
        .collect();
    table.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: &str = r#"
current = "prod"
[contexts.prod]
server = "https://ci.test"
token = "t0ken"
ca_cert = "/ca.pem"
client_cert = "mine.pem"
client_key = "mine.key"
server_name = "ci"
[contexts.dev]
username = "me"
password = "p"
[contexts.file]
token_file = "token"
"#;

    fn parse(text: &str) -> Result<Contexts, String> {
        Contexts::parse(text, Path::new("/home"))
    }

    #[test]
    fn what_is_written_is_read_again() {
        let contexts = parse(ALL).unwrap();
        let again = contexts.to_toml();
        assert_eq!(parse(&again).unwrap().to_toml(), again);
        let (name, prod) = contexts.chosen(None).unwrap().unwrap();
        assert_eq!(name, "prod");
        assert_eq!(
            prod.tls.client_cert.as_deref(),
            Some(Path::new("/home/mine.pem"))
        );
        assert_eq!(prod.token.as_ref().unwrap().expose_secret(), "t0ken");
        assert!(contexts.has_secrets());
        assert!(!format!("{contexts:?}").contains("t0ken"));
    }

    #[test]
    fn errors_are_reported_with_their_place_and_without_values() {
        let told: Vec<_> = [
            "curent = 'a'",
            "current = 1",
            "contexts = 1",
            "contexts.a = 1",
            "[contexts.a]\ntoken = 's3cret",
            "[contexts.a]\ntoken = 5333",
            "[contexts.a]\ntokn = 's3cret'",
            "[contexts.a]\ncolour = 5333",
            "[contexts.a]\nserver = 'ftp://a'",
            "[contexts.a]\ntoken = 's3cret'\nusername = 'a'",
            "[contexts.a]\npassword = 's3cret'",
            "[contexts.a]\n[contexts.a]",
        ]
        .map(|text| parse(text).unwrap_err())
        .into();
        insta::assert_snapshot!(told.join("\n"));
    }

    #[test]
    fn an_unknown_name_is_reported_with_the_nearest() {
        let contexts = parse(ALL).unwrap();
        let error = |name| contexts.chosen(Some(name)).err().unwrap();
        assert_eq!(error("prd"), "unknown context `prd`; did you mean `prod`?");
        assert_eq!(
            error("elsewhere"),
            "unknown context `elsewhere`; known are dev, file, prod"
        );
        assert_eq!(
            Contexts::default()
                .chosen(None)
                .unwrap()
                .map(|(name, _)| name),
            None
        );
    }
}
