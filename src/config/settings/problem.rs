//! Problems of settings, with their origins.

use std::{fmt, path::PathBuf};

use super::Setting;

/// Where the value of a setting comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A file, and the line if it is known.
    File(PathBuf, Option<usize>),
    /// The name of a variable.
    Environment(String),
    /// The flag, with its dashes.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path, None) => write!(out, "{}", path.display()),
            Self::File(path, Some(line)) => write!(out, "{}:{line}", path.display()),
            Self::Environment(variable) => write!(out, "environment {variable}"),
            Self::Flag(flag) => out.write_str(flag),
        }
    }
}

/// A problem because of which the service does not start.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    origin: Origin,
    text: String,
}

impl Problem {
    pub(super) fn new(origin: Origin, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { origin, text }
    }

    /// A problem of a setting. For a file, the text includes the setting's name; variables and
    /// flags already have it in their own names.
    pub(super) fn of(setting: &Setting, origin: Origin, text: impl fmt::Display) -> Self {
        let text = match origin {
            Origin::File(..) => format!("{}: {text}", setting.name),
            Origin::Environment(_) | Origin::Flag(_) => text.to_string(),
        };
        Self { origin, text }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.origin, self.text)
    }
}
