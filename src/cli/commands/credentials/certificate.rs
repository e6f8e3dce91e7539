//! `pipewright certificate ...`.

use clap::{Args, Subcommand, builder::NonEmptyStringValueParser};

use super::{Place, entries, name, role, role::Roles};
use crate::{
    auth::{Entry, Kind, Principal, Proof, Subject},
    cli::{
        exit::{Exit, Failure},
        present::{format::Format, out},
    },
};

/// Manage the TLS client certificates with which callers authenticate
///
/// The service verifies a certificate against the authorities that it trusts. These commands
/// map a name in a certificate to a principal and its roles. They change a credentials file;
/// a service that uses the file reloads it by itself.
#[derive(Args, Debug)]
pub(crate) struct CertificateArgs {
    #[command(flatten)]
    place: Place,
    #[command(subcommand)]
    command: CertificateCommand,
}

#[derive(Debug, Subcommand)]
enum CertificateCommand {
    /// Add a principal that is authenticated by a name in its certificate
    Add {
        /// Name of the principal: 1 to 64 of A-Z a-z 0-9 . _ @ -
        #[arg(value_parser = name)]
        name: String,
        #[command(flatten)]
        subject: SubjectArgs,
        #[command(flatten)]
        roles: Roles,
    },
    /// List the principals and their roles
    List,
    /// Remove a principal
    Remove {
        /// Name of the principal
        name: String,
    },
}

/// The name in the certificate.
#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
struct SubjectArgs {
    /// Subject alternative name in the certificate, compared exactly: a URI, an e-mail
    /// address or a DNS name
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    san: Option<String>,
    /// Common name of the certificate's subject; used if no alternative name matches
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    cn: Option<String>,
}

impl SubjectArgs {
    fn subject(self) -> Option<Subject> {
        let common_name = || self.cn.map(Subject::CommonName);
        self.san.map(Subject::AltName).or_else(common_name)
    }
}

/// Runs one of the certificate commands.
pub(crate) fn certificate(args: CertificateArgs, format: Format) -> Result<Exit, Failure> {
    let file = args.place.file()?;
    match args.command {
        CertificateCommand::List => {
            return entries::list(&file, Kind::Certificate, format);
        }
        CertificateCommand::Add {
            name,
            subject,
            roles,
        } => {
            let subject = subject.subject().expect("the arguments ask for one");
            let grants = roles.grants();
            let told = format!(
                "added `{name}`, the holder of certificates of {subject}, with {}",
                role::show(&grants)
            );
            let entry = Entry {
                principal: Principal { name, grants },
                proof: Proof::Certificate(subject),
            };
            file.change(|draft| draft.add(&entry))?;
            out::notice(&told);
        }
        CertificateCommand::Remove { name } => {
            file.change(|draft| draft.remove(Kind::Certificate, &name))?;
            out::notice(&format!("removed `{name}`"));
        }
    }
    Ok(Exit::Ok)
}
