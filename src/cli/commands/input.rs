//! The pipeline for a command, inline or as a file.

use std::{fs, io, path::PathBuf};

use clap::Args;

use crate::cli::{
    commands::file::{self, PipelineFile},
    exit::Failure,
};

/// A pipeline as YAML or JSON.
#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
pub(crate) struct Input {
    /// The pipeline, in YAML or JSON
    #[arg(long, value_name = "JSON")]
    data: Option<String>,
    /// File with the pipeline, in YAML or JSON; `-` is standard input
    #[arg(long, short = 'f')]
    file: Option<PathBuf>,
}

impl Input {
    /// Reads the pipeline.
    pub(crate) fn read(&self) -> Result<PipelineFile, Failure> {
        match (&self.data, &self.file) {
            (Some(data), _) => file::parse(data, "--data"),
            (None, Some(path)) => read_file(path),
            (None, None) => unreachable!("clap requires one of the two"),
        }
    }
}

/// Reads a pipeline from a file; `-` is standard input.
pub(crate) fn read_file(path: &PathBuf) -> Result<PipelineFile, Failure> {
    let is_stdin = path.as_os_str() == "-";
    let text = if is_stdin {
        io::read_to_string(io::stdin())
    } else {
        fs::read_to_string(path)
    };
    let source = if is_stdin {
        "standard input".into()
    } else {
        path.display().to_string()
    };
    let text = text.map_err(|error| match error.kind() {
        io::ErrorKind::InvalidData => Failure::Invalid(format!("{source} is not UTF-8 text")),
        _ => Failure::Usage(format!("cannot read {source}: {error}")),
    })?;
    file::parse(&text, &source)
}
