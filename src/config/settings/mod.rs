//! Where settings come from: a file, then the environment, then flags; later ones win.
//!
//! One table ([`table`]) has all settings: their names, help, bounds, and the place that
//! each has in the [`Draft`]. The file's keys, the variables and the flags are made of it,
//! so a setting has one name in three spellings: `max_connections`,
//! `PIPEWRIGHT_MAX_CONNECTIONS` and `--max-connections`. A boolean setting that is on by
//! default is turned off by `--no-` before its name, and by `false` elsewhere.
//!
//! All mistakes are collected, each with where it was made.

mod checks;
mod draft;
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

/// Settings without a mistake, and where each comes from.
#[derive(Debug)]
pub(crate) struct Effective {
    draft: Draft,
    origins: Origins,
}

/// Who said what a setting is; those that nobody named have their defaults.
type Origins = HashMap<&'static str, Origin>;

impl Effective {
    /// The address to listen on, and the settings of the service there.
    pub(crate) fn into_config(self) -> (SocketAddr, Config) {
        (self.draft.listen, self.draft.into_config())
    }
}

/// Reads all settings of all sources.
///
/// # Errors
/// All mistakes, in the order of the sources; then settings that do not go together.
pub(crate) fn load(source: Source<'_>) -> Result<Effective, Vec<Problem>> {
    let mut draft = Draft::default();
    let mut origins = Origins::new();
    let mut mistakes = Vec::new();
    let (file, mut is_whole) = (source.file(), true);
    let given = match file {
        Ok(found) => found,
        Err(mistake) => {
            is_whole = false;
            vec![Err(mistake)]
        }
    };
    for given in given
        .into_iter()
        .chain(source.environment())
        .chain(source.flags())
    {
        let read = given.and_then(|given| {
            origins.insert(given.setting.name, given.origin.clone());
            let read = given.setting.read(&mut draft, &given.text);
            read.map_err(|wrong| Problem::of(given.setting, given.origin, wrong))
        });
        mistakes.extend(read.err());
    }
    // Without what the file says, nobody knows what goes together.
    if is_whole {
        mistakes.extend(checks::together(&mut draft, &origins));
    }
    match mistakes.is_empty() {
        true => Ok(Effective { draft, origins }),
        false => Err(mistakes),
    }
}

#[cfg(test)]
mod tests;
