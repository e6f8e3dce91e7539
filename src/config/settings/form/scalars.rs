//! Switches, addresses, paths and names.

use std::{net::SocketAddr, path::PathBuf};

use super::Form;
use crate::config::{Guard, settings::Takes};

/// A boolean.
pub(crate) struct Switch;

impl Form for Switch {
    type Value = bool;

    fn takes(&self, default: &bool) -> Takes {
        if *default {
            Takes::Negation
        } else {
            Takes::Nothing
        }
    }

    fn read(&self, text: &str) -> Result<bool, String> {
        match text {
            "true" | "1" => Ok(true),
            "false" | "0" => Ok(false),
            _ => Err(format!("`{text}` is neither true nor false")),
        }
    }

    fn show(&self, value: &bool) -> Option<toml::Value> {
        Some((*value).into())
    }
}

/// An address to listen on.
pub(crate) struct Address;

impl Form for Address {
    type Value = SocketAddr;

    fn takes(&self, _: &SocketAddr) -> Takes {
        Takes::Value("ADDRESS")
    }

    fn read(&self, text: &str) -> Result<SocketAddr, String> {
        text.parse().map_err(|_| {
            format!("`{text}` is not an IP address and a port, as 127.0.0.1:50051 or [::1]:50051")
        })
    }

    fn show(&self, value: &SocketAddr) -> Option<toml::Value> {
        Some(value.to_string().into())
    }
}

/// The path of a file or a directory. Whether it exists is checked only when it is used.
pub(crate) struct Path(pub(crate) &'static str);

impl Form for Path {
    type Value = Option<PathBuf>;

    fn takes(&self, _: &Option<PathBuf>) -> Takes {
        Takes::Value(self.0)
    }

    fn read(&self, text: &str) -> Result<Option<PathBuf>, String> {
        match text {
            "" => Err("an empty text is not a path".to_owned()),
            _ => Ok(Some(PathBuf::from(text))),
        }
    }

    fn show(&self, value: &Option<PathBuf>) -> Option<toml::Value> {
        // It was parsed from a text, so it is valid UTF-8.
        value.as_ref()?.to_str().map(Into::into)
    }
}

/// The name of a guard.
pub(crate) struct GuardName;

impl Form for GuardName {
    type Value = Guard;

    fn takes(&self, _: &Guard) -> Takes {
        Takes::Value("GUARD")
    }

    fn read(&self, text: &str) -> Result<Guard, String> {
        let guard = Guard::ALL.into_iter().find(|guard| guard.name() == text);
        guard.ok_or_else(|| format!("`{text}` is not auto, pid-namespace or subreaper"))
    }

    fn show(&self, value: &Guard) -> Option<toml::Value> {
        Some(value.name().into())
    }
}
