//! Output formats.

use clap::{Args, ValueEnum};

/// How results are printed.
#[derive(Args, Debug)]
#[command(next_help_heading = "Common options")]
pub(crate) struct Output {
    /// Form of the result
    #[arg(
        short = 'o',
        long = "output",
        global = true,
        value_enum,
        default_value_t
    )]
    pub(crate) format: Format,
}

/// Output formats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    #[default]
    Table,
    /// For programs: canonical proto JSON, and errors as JSON on standard error
    Json,
}
