//! Reads the texts of settings from a file, the environment and flags.

use std::{ffi::OsString, path::Path};

use super::{Origin, Problem, Setting, file, settings, source_value::SourceValue};

/// The sources of settings.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a> {
    pub(crate) file: Option<&'a Path>,
    /// Looks up a variable.
    pub(crate) environment: &'a dyn Fn(&str) -> Option<OsString>,
    pub(crate) flags: &'a [Flag],
}

/// A flag of the command line.
#[derive(Clone, Debug)]
pub(crate) struct Flag {
    pub(crate) setting: &'static Setting,
    /// Its values; for a switch, the value that the flag sets.
    pub(crate) values: Vec<OsString>,
}

impl Source<'_> {
    /// The values of the file. The outer error is a problem of the file as a whole.
    pub(super) fn file(&self) -> Result<Vec<Result<SourceValue, Problem>>, Problem> {
        self.file.map_or(Ok(Vec::new()), file::read)
    }

    /// The values of variables. An empty variable counts as unset, as scripts unset variables
    /// this way.
    pub(super) fn environment(&self) -> Vec<Result<SourceValue, Problem>> {
        let found = settings().filter_map(|setting| {
            let own = setting.variable();
            let names = [Some(own), setting.alias.map(str::to_owned)];
            let mut set = names.into_iter().flatten().filter_map(|name| {
                let value = (self.environment)(&name)?;
                (!value.is_empty()).then_some((name, value))
            });
            let (name, value) = set.next()?;
            Some(source_value(
                setting,
                Origin::Environment(name),
                vec![value],
            ))
        });
        found.collect()
    }

    /// The values of flags.
    pub(super) fn flags(&self) -> Vec<Result<SourceValue, Problem>> {
        let found = self.flags.iter().map(|flag| {
            let origin = Origin::Flag(format!("--{}", flag.setting.flag()));
            source_value(flag.setting, origin, flag.values.clone())
        });
        found.collect()
    }
}

fn source_value(
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
