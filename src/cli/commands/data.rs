//! `pipewright backup` and `pipewright store`: what is done with a data directory.

use std::{collections::BTreeMap, path::PathBuf};

use clap::{Args, Subcommand};

use crate::{
    cli::{
        exit::{Exit, Failure},
        present::{format::Format, json, out, text},
    },
    store::{BackupError, Checked, Manifest, OpenError, back_up, check, restore},
};

/// Back a data directory up, or restore a backup
#[derive(Args, Debug)]
pub(crate) struct BackupArgs {
    #[command(subcommand)]
    command: BackupCommand,
}

#[derive(Debug, Subcommand)]
enum BackupCommand {
    /// Copy a data directory to a new directory, also while a service uses it
    ///
    /// The copy has the state of one moment, the logs, and a manifest. It has no encryption key:
    /// keep that apart.
    Create {
        /// New directory for the backup
        #[arg(value_name = "BACKUP")]
        to: PathBuf,
        #[command(flatten)]
        place: Place,
        /// Directory of the logs, if the service has its own setting for it
        #[arg(long, value_name = "DIRECTORY", env = "PIPEWRIGHT_LOG_DIR")]
        log_dir: Option<PathBuf>,
    },
    /// Restore a backup into a new data directory
    ///
    /// Do not use it together with the original: both would run the same jobs.
    Restore {
        /// Directory of the backup
        #[arg(value_name = "BACKUP")]
        from: PathBuf,
        #[command(flatten)]
        place: Place,
    },
}

/// Inspect a data directory
#[derive(Args, Debug)]
pub(crate) struct StoreArgs {
    #[command(subcommand)]
    command: StoreCommand,
}

#[derive(Debug, Subcommand)]
enum StoreCommand {
    /// Read everything in a data directory that no service uses, and report what is wrong
    ///
    /// The exit code is 3 if something is. No encryption key is needed.
    Check {
        #[command(flatten)]
        place: Place,
    },
}

#[derive(Args, Debug)]
pub(crate) struct Place {
    /// The data directory of the service
    #[arg(long, value_name = "DIRECTORY", env = "PIPEWRIGHT_DATA_DIR")]
    pub(crate) data_dir: PathBuf,
}

/// Runs one of the backup commands.
pub(crate) fn backup(args: BackupArgs, format: Format) -> Result<Exit, Failure> {
    match args.command {
        BackupCommand::Create { to, place, log_dir } => {
            let manifest = back_up(&place.data_dir, log_dir.as_deref(), &to)?;
            done("backed up", &manifest, &to, format)?;
        }
        BackupCommand::Restore { from, place } => {
            let manifest = restore(&from, &place.data_dir)?;
            done("restored", &manifest, &place.data_dir, format)?;
        }
    }
    Ok(Exit::Ok)
}

fn done(
    what: &str,
    manifest: &Manifest,
    to: &std::path::Path,
    format: Format,
) -> Result<(), Failure> {
    let bytes: u64 = manifest.files.values().map(|file| file.size).sum();
    let files = manifest.files.len();
    let place = text::one_line(&to.to_string_lossy());
    out::print_line(&match format {
        Format::Table => format!("{what} {files} files, {bytes} bytes, to {place}"),
        Format::Json => json::compact_value(&BTreeMap::from([
            ("files", files.to_string()),
            ("bytes", bytes.to_string()),
            ("directory", place),
        ])),
    })
}

/// Runs one of the store commands.
pub(crate) fn store(args: StoreArgs, format: Format) -> Result<Exit, Failure> {
    let StoreCommand::Check { place } = args.command;
    let checked = check(&place.data_dir)?;
    out::print_line(&match format {
        Format::Table => summary(&checked),
        Format::Json => report(&checked),
    })?;
    if checked.problems.is_empty() {
        Ok(Exit::Ok)
    } else {
        Ok(Exit::Invalid)
    }
}

fn summary(checked: &Checked) -> String {
    let Checked {
        format,
        pipelines,
        revisions,
        active_jobs,
        ended_jobs,
        events,
        others,
        problems,
    } = checked;
    let read = format!(
        "format {format}: {pipelines} pipelines with {revisions} revisions, {active_jobs} active and {ended_jobs} ended jobs with {events} events, {others} other rows"
    );
    if problems.is_empty() {
        return format!("{read}; no problems");
    }
    let problems = problems.iter().map(|problem| text::one_line(problem));
    let lines: Vec<String> = std::iter::once(read).chain(problems).collect();
    lines.join("\n")
}

fn report(checked: &Checked) -> String {
    json::compact_value(&serde_json::json!({
        "format": checked.format,
        "pipelines": checked.pipelines,
        "revisions": checked.revisions,
        "activeJobs": checked.active_jobs,
        "endedJobs": checked.ended_jobs,
        "events": checked.events,
        "otherRows": checked.others,
        "problems": checked.problems,
    }))
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        let text = error.to_string();
        match error {
            OpenError::InUse { .. } => Self::Conflict(text),
            OpenError::Absent { .. } => Self::NotFound(text),
            OpenError::Directory { .. } => Self::Local(text),
            OpenError::Foreign { .. }
            | OpenError::TooNew { .. }
            | OpenError::OtherMigration { .. }
            | OpenError::KeyRequired { .. }
            | OpenError::OtherKey { .. }
            | OpenError::Database(_)
            | OpenError::Rows(_) => Self::Invalid(text),
        }
    }
}

impl From<BackupError> for Failure {
    fn from(error: BackupError) -> Self {
        let text = error.to_string();
        match error {
            BackupError::NoDataDirectory { .. } | BackupError::NoBackup { .. } => {
                Self::NotFound(text)
            }
            BackupError::NotEmpty { .. } => Self::Conflict(text),
            BackupError::Damaged(_) => Self::Invalid(text),
            BackupError::Io { .. } => Self::Local(text),
            BackupError::Open(error) => error.into(),
        }
    }
}
