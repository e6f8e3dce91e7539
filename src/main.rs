//! The `pipewright` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    pipewright::cli::main()
}
