//! How values are written: texts that people give, and what the file shows.

mod amounts;
mod scalars;
mod web;

pub(super) use amounts::{OrNone, Size, Span, Whole};
pub(super) use scalars::{Address, GuardName, Path, Switch};
pub(super) use web::{Hosts, Origins};

use super::Takes;

/// A way to write values of a type.
pub(super) trait Form: Send + Sync {
    /// What is read.
    type Value;

    /// How it is given as a flag, which for a switch depends on the default.
    fn takes(&self, default: &Self::Value) -> Takes;

    /// Reads a text without white space around it.
    ///
    /// # Errors
    /// What is wrong and what would be right, as the rest of a sentence that names the setting.
    fn read(&self, text: &str) -> Result<Self::Value, String>;

    /// The value as a file has it, which [`Form::read`] reads again; none for unset.
    fn show(&self, value: &Self::Value) -> Option<toml::Value>;
}
