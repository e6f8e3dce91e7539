//! Loads settings from a file, the environment and flags; later sources override earlier ones.
//!
//! One table ([`table`]) defines all settings: their names, help, bounds, and the field of
//! each in the [`Draft`]. The keys of the file, the environment variables and the flags are
//! derived from it. So a setting has one name in three spellings: `max_connections`,
//! `PIPEWRIGHT_MAX_CONNECTIONS` and `--max-connections`. A boolean setting that is on by
//! default is turned off by `--no-` before its name, and by `false` in the other sources.
//!
//! Encryption keys themselves have only a variable ([`encryption_key`]): a flag would be visible in the
//! list of processes, and a file with settings may be readable by others.
//!
//! All problems are collected, each with its origin.

mod checks;
mod draft;
mod encryption_key;
mod file;
mod form;
mod problem;
mod setting;
mod show;
mod source_value;
mod sources;
mod table;

use std::{collections::HashMap, net::SocketAddr};

pub(crate) use problem::{Origin, Problem};
pub(crate) use setting::{Section, Setting, Takes};
pub(crate) use sources::{Flag, Source};
pub(crate) use table::{sections, settings};

use crate::config::Config;
use draft::Draft;

/// Valid settings, with the origin of each.
#[derive(Debug)]
pub(crate) struct Effective {
    draft: Draft,
    origins: Origins,
}

/// The origin of each setting, by name; settings without an entry have their defaults.
type Origins = HashMap<&'static str, Origin>;

impl Effective {
    /// The address to listen on, and the settings of the service there.
    pub(crate) fn into_config(self) -> (SocketAddr, Config) {
        (self.draft.listen, self.draft.into_config())
    }
}

/// Loads all settings of all sources.
///
/// # Errors
/// All problems, in the order of the sources, then those of combinations of settings.
pub(crate) fn load(source: Source<'_>) -> Result<Effective, Vec<Problem>> {
    let mut draft = Draft::default();
    let mut origins = Origins::new();
    let mut problems = Vec::new();
    let (from_file, is_file_valid) = match source.file() {
        Ok(values) => (values, true),
        Err(problem) => (vec![Err(problem)], false),
    };
    for value in from_file
        .into_iter()
        .chain(source.environment())
        .chain(source.flags())
    {
        let read = value.and_then(|value| {
            origins.insert(value.setting.name, value.origin.clone());
            let read = value.setting.read(&mut draft, &value.text);
            read.map_err(|wrong| Problem::of(value.setting, value.origin, wrong))
        });
        problems.extend(read.err());
    }
    match encryption_key::read(&source, &origins) {
        Ok(key) => draft.encryption_key = key,
        Err(problem) => problems.push(problem),
    }
    // Combinations cannot be checked if the file's settings are unknown.
    if is_file_valid {
        problems.extend(checks::together(&mut draft, &origins));
    }
    if problems.is_empty() {
        Ok(Effective { draft, origins })
    } else {
        Err(problems)
    }
}

#[cfg(test)]
mod tests;
