//! `pipewright user`, `pipewright token` and `pipewright certificate` manage principals. They
//! change a file, which a running service then reloads.

mod certificate;
mod delivery;
mod entries;
mod password;
mod role;
mod token;
mod user;

use std::{env, ffi::OsString, io, path::PathBuf};

use clap::Args;

pub(crate) use self::{
    certificate::{CertificateArgs, certificate},
    token::{TokenArgs, token},
    user::{UserArgs, user},
};
use crate::{
    auth::{BadName, CredentialsError, CredentialsFile, check_name},
    cli::exit::Failure,
    private_file::FileError,
};

/// Location of the credentials.
#[derive(Args, Debug)]
#[command(next_help_heading = "Common options")]
struct Place {
    /// Credentials file [default: pipewright/credentials.toml in $XDG_CONFIG_HOME, or in
    /// ~/.config]
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "PIPEWRIGHT_CREDENTIALS",
        hide_env_values = true
    )]
    credentials: Option<PathBuf>,
}

impl Place {
    fn file(self) -> Result<CredentialsFile, Failure> {
        let path = match self.credentials {
            Some(path) => path,
            None => usual_path(env::var_os("XDG_CONFIG_HOME"), env::home_dir())?,
        };
        Ok(CredentialsFile::new(path))
    }
}

/// By the XDG base directory specification: a relative directory is ignored.
fn usual_path(config: Option<OsString>, home: Option<PathBuf>) -> Result<PathBuf, Failure> {
    let config = config.map(PathBuf::from).filter(|path| path.is_absolute());
    let home = home.filter(|path| path.is_absolute());
    let config = config.or_else(|| Some(home?.join(".config")));
    let config = config.ok_or_else(|| {
        let text = "there is no home directory; say where the credentials are, with \
                    --credentials FILE or PIPEWRIGHT_CREDENTIALS";
        Failure::Usage(text.to_owned())
    })?;
    Ok(config.join("pipewright/credentials.toml"))
}

impl From<CredentialsError> for Failure {
    fn from(error: CredentialsError) -> Self {
        let text = error.to_string();
        match error {
            CredentialsError::Missing { .. } | CredentialsError::NotFound { .. } => {
                Self::NotFound(text)
            }
            CredentialsError::NameTaken { .. } | CredentialsError::SubjectTaken { .. } => {
                Self::Conflict(text)
            }
            CredentialsError::Io(FileError { source, .. })
                if source.kind() == io::ErrorKind::PermissionDenied =>
            {
                Self::NotAllowed(text)
            }
            CredentialsError::Io(_) => Self::Local(text),
            CredentialsError::Exposed { .. } | CredentialsError::Wrong { .. } => {
                Self::Invalid(text)
            }
        }
    }
}

fn name(text: &str) -> Result<String, BadName> {
    check_name(text).map(|()| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_file_is_among_the_settings_of_its_user() {
        let path = |config: Option<&str>, home: Option<&str>| {
            let path = usual_path(config.map(OsString::from), home.map(PathBuf::from));
            path.map(|path| path.display().to_string())
                .map_err(|failure| failure.message().unwrap())
        };
        let of = |directory: &str| Ok(format!("{directory}/pipewright/credentials.toml"));
        assert_eq!(path(Some("/x"), Some("/home/ada")), of("/x"));
        for config in [None, Some(""), Some("x")] {
            assert_eq!(path(config, Some("/home/ada")), of("/home/ada/.config"));
        }
        insta::assert_snapshot!(path(None, None).unwrap_err());
    }
}
