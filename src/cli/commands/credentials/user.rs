//! `pipewright user ...`.

use clap::{Args, Subcommand};

use super::{Place, entries, name, password::PasswordArgs, role, role::Roles};
use crate::{
    auth::{CredentialsFile, Entry, Kind, Principal, Proof},
    cli::{
        exit::{Exit, Failure},
        present::{format::Format, out},
    },
};

/// Manage users, who authenticate with a name and a password
///
/// The commands change a credentials file. A service that uses the file reloads it by itself:
/// the sessions of a user that is removed or changed end within about a second.
#[derive(Args, Debug)]
pub(crate) struct UserArgs {
    #[command(flatten)]
    place: Place,
    #[command(subcommand)]
    command: UserCommand,
}

#[derive(Debug, Subcommand)]
enum UserCommand {
    /// Add a user; asks for the password
    Add {
        /// Name of the user: 1 to 64 of A-Z a-z 0-9 . _ @ -
        #[arg(value_parser = name)]
        name: String,
        #[command(flatten)]
        roles: Roles,
        #[command(flatten)]
        password: PasswordArgs,
    },
    /// List users and their roles
    List,
    /// Remove a user
    Remove {
        /// Name of the user
        name: String,
    },
    /// Change the password of a user; asks for it
    SetPassword {
        /// Name of the user
        name: String,
        #[command(flatten)]
        password: PasswordArgs,
    },
    /// Replace the roles of a user
    SetRoles {
        /// Name of the user
        name: String,
        #[command(flatten)]
        roles: Roles,
    },
}

/// Runs one of the user commands.
pub(crate) fn user(args: UserArgs, format: Format) -> Result<Exit, Failure> {
    let file = args.place.file()?;
    match args.command {
        UserCommand::List => return entries::list(&file, Kind::User, format),
        UserCommand::Add {
            name,
            roles,
            password,
        } => add(&file, name, roles, &password)?,
        UserCommand::Remove { name } => {
            file.change(|draft| draft.remove(Kind::User, &name))?;
            out::notice(&format!("removed the user `{name}`"));
        }
        UserCommand::SetPassword { name, password } => {
            let hash = password.hash()?;
            file.change(|draft| draft.set_password(&name, &hash))?;
            out::notice(&format!("the user `{name}` has another password"));
        }
        UserCommand::SetRoles { name, roles } => {
            let grants = roles.grants();
            file.change(|draft| draft.set_roles(Kind::User, &name, &grants))?;
            out::notice(&format!("the user `{name}` has {}", role::show(&grants)));
        }
    }
    Ok(Exit::Ok)
}

fn add(
    file: &CredentialsFile,
    name: String,
    roles: Roles,
    password: &PasswordArgs,
) -> Result<(), Failure> {
    let entry = Entry {
        principal: Principal {
            name,
            grants: roles.grants(),
        },
        proof: Proof::Password(password.hash()?),
    };
    file.change(|draft| draft.add(&entry))?;
    let Principal { name, grants } = &entry.principal;
    out::notice(&format!(
        "added the user `{name}` with {}",
        role::show(grants)
    ));
    Ok(())
}
