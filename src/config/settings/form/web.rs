//! Origins and hosts.

use url::{Host, Url};

use super::Form;
use crate::config::settings::Takes;

/// Origins of web pages, or `*`.
pub(crate) struct Origins;

impl Form for Origins {
    type Value = Vec<String>;

    fn takes(&self, _: &Vec<String>) -> Takes {
        Takes::Values("ORIGIN")
    }

    fn read(&self, text: &str) -> Result<Vec<String>, String> {
        list(text, |origin| {
            // As browsers send it: in lower case, without a path or the default port.
            let sent = Url::parse(origin).map(|url| url.origin().ascii_serialization());
            match sent {
                Ok(sent) if sent == origin => Ok(()),
                Ok(sent) if sent != "null" => {
                    Err(format!("`{origin}` is not an origin; browsers send {sent}"))
                }
                Ok(_) | Err(_) => Err(format!(
                    "`{origin}` is not an origin, as https://ci.example.com, nor *"
                )),
            }
        })
    }

    fn show(&self, value: &Vec<String>) -> Option<toml::Value> {
        Some(value.clone().into())
    }
}

/// Host names of this service, or `*`.
pub(crate) struct Hosts;

impl Form for Hosts {
    type Value = Vec<String>;

    fn takes(&self, _: &Vec<String>) -> Takes {
        Takes::Values("HOST")
    }

    fn read(&self, text: &str) -> Result<Vec<String>, String> {
        list(text, |host| match Host::parse(host) {
            Ok(_) if !host.contains('*') => Ok(()),
            _ => Err(format!(
                "`{host}` is not a name or an address without a port, as ci.example.com, nor *"
            )),
        })
    }

    fn show(&self, value: &Vec<String>) -> Option<toml::Value> {
        Some(value.clone().into())
    }
}

/// Parses comma-separated items; an empty text has none.
fn list(text: &str, check: fn(&str) -> Result<(), String>) -> Result<Vec<String>, String> {
    let items = text.split(',').map(str::trim);
    let items = items.filter(|_| !text.is_empty());
    let checked = items.map(|item| match item {
        "*" => Ok(item.to_owned()),
        _ => check(item).map(|()| item.to_owned()),
    });
    checked.collect()
}
