//! Secret variables, from the caller's environment: on a command line every user of the
//! machine could read them, and the shell would keep them in its history.

use std::{collections::BTreeMap, env};

use clap::Args;

use crate::{
    cli::{
        exit::Failure,
        present::{out, text},
    },
    runner::is_maskable,
};

/// The secret variables of a job.
#[derive(Args, Debug)]
pub(crate) struct SecretVars {
    /// Environment variable to pass to all stages as a secret, masked in their output; may
    /// be repeated
    #[arg(long = "secret-var", value_name = "NAME")]
    names: Vec<String>,
}

impl SecretVars {
    /// The values from the caller's environment.
    pub(crate) fn read(&self) -> Result<BTreeMap<String, String>, Failure> {
        let names = self.names.iter();
        let read = names.map(|name| Ok((name.clone(), value(name)?)));
        read.collect()
    }
}

/// Warns of secret values that are not masked in logs.
pub(crate) fn warn_of_short<'a>(secrets: impl IntoIterator<Item = (&'a String, &'a String)>) {
    for (name, value) in secrets {
        if !is_maskable(value) {
            let name = text::one_line(name);
            out::notice(&format!(
                "secret variable {name} has fewer than 4 bytes on each line: it is not masked in logs"
            ));
        }
    }
}

fn value(name: &str) -> Result<String, Failure> {
    // The error for `NAME=value` does not repeat what may be the secret.
    if name.is_empty() || name.contains('=') {
        return Err(Failure::Usage(
            "--secret-var takes the name of an environment variable alone; \
             its value is taken from the environment"
                .to_owned(),
        ));
    }
    let name = text::one_line(name);
    let value = env::var(&*name).map_err(|error| {
        Failure::Usage(match error {
            env::VarError::NotPresent => {
                format!("--secret-var {name}: there is no such environment variable")
            }
            env::VarError::NotUnicode(_) => {
                format!("--secret-var {name}: the environment variable is not UTF-8 text")
            }
        })
    })?;
    if value.is_empty() {
        return Err(Failure::Usage(format!(
            "--secret-var {name}: the environment variable is empty"
        )));
    }
    Ok(value)
}
