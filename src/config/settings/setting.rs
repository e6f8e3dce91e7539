//! A setting: a row of the table.

use std::fmt;

use super::{draft::Draft, form::Form};

/// Settings of one matter.
#[derive(Debug)]
pub(crate) struct Section {
    /// What they are about, as a heading.
    pub(crate) heading: &'static str,
    /// The settings.
    pub(crate) settings: Vec<Setting>,
}

/// One setting, whoever sets it.
pub(crate) struct Setting {
    /// Its name in a file; the variable and the flag are made of it.
    pub(crate) name: &'static str,
    /// What it is and what it is without a value, in one sentence.
    pub(crate) help: &'static str,
    /// What its flag does, where that turns it off.
    pub(crate) help_off: Option<&'static str>,
    /// A value that is not the default.
    pub(crate) example: &'static str,
    /// A variable of another program's that sets it too, unless its own is set.
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
    /// `--name VALUE`, where the word says what the value is.
    Value(&'static str),
    /// `--name VALUE`, several times or with commas.
    Values(&'static str),
}

impl Setting {
    /// A setting that a form reads into a place.
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

    /// How it is written as a flag.
    pub(crate) fn takes(&self) -> Takes {
        self.value.takes()
    }

    /// Its value as the file has it, when nobody sets it; none if it is unset then.
    pub(crate) fn default(&self) -> Option<toml::Value> {
        self.show(&mut Draft::default())
    }

    /// Reads its value.
    pub(super) fn read(&self, draft: &mut Draft, text: &str) -> Result<(), String> {
        self.value.read(draft, text)
    }

    /// Its value as the file has it; none if it is unset.
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

/// One place for reading and showing, so that they cannot mean two.
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
