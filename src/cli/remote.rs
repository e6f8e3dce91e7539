//! Arguments that all commands against a service share.

use std::time::Duration;

use clap::{Args, ValueEnum};
use tonic::transport::Endpoint;

use crate::{
    cli::client::{Bearer, Client},
    config::duration,
};

/// Where the service is.
#[derive(Args, Debug)]
#[command(next_help_heading = "Common options")]
pub(crate) struct Remote {
    /// Address of the service, as URL or as host:port
    #[arg(
        long,
        global = true,
        env = "PIPEWRIGHT_SERVER",
        hide_env_values = true,
        default_value = "http://127.0.0.1:50051",
        value_parser = endpoint
    )]
    pub(crate) server: Endpoint,
    /// Longest wait for an answer
    #[arg(long, global = true, default_value = "30s", value_parser = duration::parse)]
    pub(crate) timeout: Duration,
}

impl Remote {
    /// A client of the service.
    pub(crate) fn client(&self) -> Client {
        Client::new(&self.server, Bearer::default(), self.timeout)
    }
}

/// How answers are printed.
#[derive(Args, Debug)]
#[command(next_help_heading = "Common options")]
pub(crate) struct Output {
    /// Form of the answer
    #[arg(
        short = 'o',
        long = "output",
        global = true,
        value_enum,
        default_value_t
    )]
    pub(crate) format: Format,
}

/// Forms of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    #[default]
    Table,
    /// For programs: canonical proto JSON
    Json,
}

fn endpoint(text: &str) -> Result<Endpoint, String> {
    let url = match text.split_once("://") {
        None => format!("http://{text}"),
        Some(("http", _)) => text.to_owned(),
        Some((scheme, _)) => return Err(format!("`{scheme}` is not supported; use http")),
    };
    let endpoint = Endpoint::from_shared(url).map_err(|error| error.to_string())?;
    if endpoint.uri().host().is_none_or(str::is_empty) {
        return Err("an address is http://host:port or host:port".to_owned());
    }
    Ok(endpoint.connect_timeout(Duration::from_secs(5)))
}

/// Reads `KEY=VALUE`; a value may hold further equals signs.
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
    fn addresses_with_and_without_scheme() {
        let uri = |text| endpoint(text).map(|endpoint| endpoint.uri().to_string());
        assert_eq!(uri("127.0.0.1:1"), Ok("http://127.0.0.1:1/".to_owned()));
        assert_eq!(uri("http://ci.test:2"), Ok("http://ci.test:2/".to_owned()));
        assert_eq!(uri("[::1]:3"), Ok("http://[::1]:3/".to_owned()));
        for text in ["https://ci.test", "", "http://", "a b"] {
            assert!(uri(text).is_err(), "{text}");
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
