//! The flags of the service's settings, generated from the table of settings.

use std::{env, ffi::OsString, path::PathBuf};

use clap::{Arg, ArgAction, ArgMatches, Args, Command, Error, FromArgMatches, value_parser};

use crate::{
    cli::exit::Failure,
    config::settings::{self, Effective, Flag, Setting, Source, Takes, sections},
};

const CONFIG: &str = "config";
const CONFIG_VARIABLE: &str = "PIPEWRIGHT_CONFIG";

/// Settings from flags. They are parsed with those of the file and the environment, so that
/// all errors are reported together.
#[derive(Debug)]
pub(crate) struct SettingsArgs {
    file: Option<PathBuf>,
    flags: Vec<Flag>,
}

impl SettingsArgs {
    /// Reads all settings.
    pub(crate) fn load(&self) -> Result<Effective, Failure> {
        let variable = || env::var_os(CONFIG_VARIABLE).filter(|path| !path.is_empty());
        let file = self.file.clone().or_else(|| variable().map(PathBuf::from));
        let source = Source {
            file: file.as_deref(),
            environment: &|name| env::var_os(name),
            flags: &self.flags,
        };
        settings::load(source).map_err(|errors| {
            let lines: Vec<_> = errors.iter().map(ToString::to_string).collect();
            Failure::Invalid(match lines.as_slice() {
                [line] => line.clone(),
                lines => format!(
                    "the settings are wrong in {} places\n  {}",
                    lines.len(),
                    lines.join("\n  ")
                ),
            })
        })
    }
}

impl Args for SettingsArgs {
    fn augment_args(command: Command) -> Command {
        let file = Arg::new(CONFIG)
            .long(CONFIG)
            .value_name("FILE")
            .value_parser(value_parser!(PathBuf))
            .help("TOML file with settings")
            .long_help(format!(
                "TOML file with settings; environment variables and flags override it\n\n[env: {CONFIG_VARIABLE}]"
            ));
        let flags = sections().iter().flat_map(|section| {
            let flags = section.settings.iter().map(flag);
            flags.map(|flag| flag.help_heading(section.heading))
        });
        command.arg(file).args(flags)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

fn flag(setting: &Setting) -> Arg {
    let flag = Arg::new(setting.name)
        .long(setting.flag())
        .help(help(setting))
        .long_help(long_help(setting));
    match setting.takes() {
        Takes::Nothing | Takes::Negation => flag.action(ArgAction::SetTrue),
        Takes::Value(name) => value(flag, name).action(ArgAction::Set),
        Takes::Values(name) => value(flag, name).action(ArgAction::Append),
    }
}

fn value(flag: Arg, name: &'static str) -> Arg {
    // `--retain-jobs -1` is reported as a wrong value, not as an unknown flag.
    flag.value_name(name)
        .value_parser(value_parser!(OsString))
        .allow_negative_numbers(true)
}

/// Description of the flag.
fn help(setting: &Setting) -> &'static str {
    setting.help_off.unwrap_or(setting.help)
}

/// The help, the variables and the default, in the format of clap.
fn long_help(setting: &Setting) -> String {
    let help = help(setting);
    let variables: Vec<_> = [Some(setting.variable()), setting.alias.map(str::to_owned)]
        .into_iter()
        .flatten()
        .collect();
    let variables = variables.join(", ");
    let default = match (setting.takes(), setting.default()) {
        (Takes::Value(_), Some(toml::Value::String(text))) => Some(text),
        (Takes::Value(_), Some(other)) => Some(other.to_string()),
        _ => None,
    };
    match default {
        Some(default) => format!("{help}\n\n[env: {variables}]\n[default: {default}]"),
        None => format!("{help}\n\n[env: {variables}]"),
    }
}

impl FromArgMatches for SettingsArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let given = settings::settings().filter_map(|setting| {
            let values = match setting.takes() {
                Takes::Nothing => matches.get_flag(setting.name).then(|| vec!["true".into()]),
                Takes::Negation => matches.get_flag(setting.name).then(|| vec!["false".into()]),
                Takes::Value(_) | Takes::Values(_) => {
                    let values = matches.get_many::<OsString>(setting.name);
                    values.map(|values| values.cloned().collect())
                }
            }?;
            Some(Flag { setting, values })
        });
        Ok(Self {
            file: matches.get_one(CONFIG).cloned(),
            flags: given.collect(),
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
