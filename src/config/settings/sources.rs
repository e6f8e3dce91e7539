//! What a file, the environment and flags say, as texts.

use std::{ffi::OsString, path::Path};

use super::{Origin, Problem, Setting, file, settings, source_value::SourceValue};

/// Where to look for settings.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a> {
    /// A file, if one is named.
    pub(crate) file: Option<&'a Path>,
    /// Looks up a variable.
    pub(crate) environment: &'a dyn Fn(&str) -> Option<OsString>,
    /// The flags.
    pub(crate) flags: &'a [Flag],
}

/// A flag that was given, with its value or values.
#[derive(Clone, Debug)]
pub(crate) struct Flag {
    /// The setting that it sets.
    pub(crate) setting: &'static Setting,
    /// What it is set to, where the flag takes a value.
    pub(crate) values: Vec<OsString>,
}

impl Source<'_> {
    /// What the file says; the outer error is one of the file as a whole.
    pub(super) fn file(&self) -> Result<Vec<Result<SourceValue, Problem>>, Problem> {
        self.file.map_or(Ok(Vec::new()), file::read)
    }

    /// What variables say. One that is empty says nothing: it is how scripts unset them.
    pub(super) fn environment(&self) -> Vec<Result<SourceValue, Problem>> {
        let found = settings().filter_map(|setting| {
            let own = setting.variable();
            let names = [Some(own), setting.alias.map(str::to_owned)];
            let mut set = names.into_iter().flatten().filter_map(|name| {
                let value = (self.environment)(&name)?;
                (!value.is_empty()).then_some((name, value))
            });
            let (name, value) = set.next()?;
            Some(given(setting, Origin::Environment(name), vec![value]))
        });
        found.collect()
    }

    /// What flags say.
    pub(super) fn flags(&self) -> Vec<Result<SourceValue, Problem>> {
        let found = self.flags.iter().map(|flag| {
            let origin = Origin::Flag(format!("--{}", flag.setting.flag()));
            given(flag.setting, origin, flag.values.clone())
        });
        found.collect()
    }
}

fn given(
    setting: &'static Setting,
    origin: Origin,
    values: Vec<OsString>,
) -> Result<SourceValue, Problem> {
    let texts: Result<Vec<String>, _> = values.into_iter().map(OsString::into_string).collect();
    match texts {
        Ok(texts) => Ok(SourceValue {
            setting,
            origin,
            text: texts.join(","),
        }),
        Err(_) => Err(Problem::of(setting, origin, "is not UTF-8")),
    }
}
