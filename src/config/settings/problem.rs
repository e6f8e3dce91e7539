//! What is wrong with a setting, and where it was said.

use std::{fmt, path::PathBuf};

use super::Setting;

/// Who said what a setting is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A line of the file, where it is known.
    File(PathBuf, Option<usize>),
    /// This variable.
    Environment(String),
    /// This flag.
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

/// Something that keeps the service from being started.
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

    /// About a setting; a variable and a flag have its name already.
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
