//! A setting, which is a row of the table.

use std::fmt;

use super::{draft::Draft, form::Form};

/// Related settings.
#[derive(Debug)]
pub(crate) struct Section {
    pub(crate) heading: &'static str,
    pub(crate) settings: Vec<Setting>,
}

/// One setting, for all sources.
pub(crate) struct Setting {
    /// Its key in a file. The names of the variable and the flag are derived from it.
    pub(crate) name: &'static str,
    /// What it does, and what happens if it is unset, in one sentence.
    pub(crate) help: &'static str,
    /// The help of its flag, if the flag turns it off.
    pub(crate) help_off: Option<&'static str>,
    /// A value that is not the default.
    pub(crate) example: &'static str,
    /// A variable of other programs that also sets it, unless its own variable is set.
    pub(crate) alias: Option<&'static str>,
    /// The setting without which this one has no effect.
    pub(crate) needs: Option<&'static str>,
    value: Box<dyn Value + Send + Sync>,
}

/// How a setting is written as a flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Takes {
    /// `--name`: it is off by default.
    Nothing,
    /// `--no-name`: it is on by default.
    Negation,
    /// `--name VALUE`, with the placeholder of the value.
    Value(&'static str),
    /// `--name VALUE`, repeated or comma-separated.
    Values(&'static str),
}

impl Setting {
    /// A setting whose form parses the value into a field of the draft.
    pub(super) fn new<F: Form + 'static>(
        name: &'static str,
        help: &'static str,
        example: &'static str,
        form: F,
        place: fn(&mut Draft) -> &mut F::Value,
    ) -> Self {
        Self {
            name,
            help,
            help_off: None,
            example,
            alias: None,
            needs: None,
            value: Box::new(At { form, place }),
        }
    }

    pub(super) fn turned_off_to(mut self, help: &'static str) -> Self {
        self.help_off = Some(help);
        self
    }

    pub(super) fn or_from(mut self, alias: &'static str) -> Self {
        self.alias = Some(alias);
        self
    }

    pub(super) fn needs(mut self, other: &'static str) -> Self {
        self.needs = Some(other);
        self
    }

    /// `PIPEWRIGHT_NAME`.
    pub(crate) fn variable(&self) -> String {
        format!("PIPEWRIGHT_{}", self.name.to_uppercase())
    }

    /// The flag without its dashes.
    pub(crate) fn flag(&self) -> String {
        let name = self.name.replace('_', "-");
        match self.takes() {
            Takes::Negation => format!("no-{name}"),
            Takes::Nothing | Takes::Value(_) | Takes::Values(_) => name,
        }
    }

    pub(crate) fn takes(&self) -> Takes {
        self.value.takes()
    }

    /// Its default, as a TOML value; none if it is unset by default.
    pub(crate) fn default(&self) -> Option<toml::Value> {
        self.show(&mut Draft::default())
    }

    /// Parses a value into the draft.
    pub(super) fn read(&self, draft: &mut Draft, text: &str) -> Result<(), String> {
        self.value.read(draft, text)
    }

    /// Its value in the draft, as a TOML value; none if it is unset.
    pub(super) fn show(&self, draft: &mut Draft) -> Option<toml::Value> {
        self.value.show(draft)
    }
}

impl fmt::Debug for Setting {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name)
    }
}

/// A setting's value, whatever its type.
trait Value {
    fn takes(&self) -> Takes;
    fn read(&self, draft: &mut Draft, text: &str) -> Result<(), String>;
    fn show(&self, draft: &mut Draft) -> Option<toml::Value>;
}

/// A form and a field of the draft. Reading and showing use the same field, so that they
/// cannot differ.
struct At<F: Form> {
    form: F,
    place: fn(&mut Draft) -> &mut F::Value,
}

impl<F: Form> Value for At<F> {
    fn takes(&self) -> Takes {
        self.form.takes((self.place)(&mut Draft::default()))
    }

    fn read(&self, draft: &mut Draft, text: &str) -> Result<(), String> {
        *(self.place)(draft) = self.form.read(text.trim())?;
        Ok(())
    }

    fn show(&self, draft: &mut Draft) -> Option<toml::Value> {
        self.form.show((self.place)(draft))
    }
}
