//! Forms: how the values of settings are parsed and shown.

mod amounts;
mod scalars;
mod web;

pub(super) use amounts::{OrNone, Size, Span, Whole};
pub(super) use scalars::{Address, GuardName, Path, Switch};
pub(super) use web::{Hosts, Origins};

use super::Takes;

/// Parses and shows the values of a type.
pub(super) trait Form: Send + Sync {
    type Value;

    /// What the flag takes. For a switch, this depends on the default.
    fn takes(&self, default: &Self::Value) -> Takes;

    /// Parses a text that is trimmed.
    ///
    /// # Errors
    /// What is wrong and what a valid value is, as the rest of a sentence that begins with the
    /// setting's name.
    fn read(&self, text: &str) -> Result<Self::Value, String>;

    /// The value for a TOML file; [`Form::read`] parses it again. None if it is unset.
    fn show(&self, value: &Self::Value) -> Option<toml::Value>;
}
