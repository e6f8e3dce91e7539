use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;

/// Writes readable logs to standard error. `RUST_LOG` says what is told, by the
/// syntax of `tracing_subscriber::EnvFilter`; `default` does where it is unset.
pub fn init(default: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        .with_ansi(io::stderr().is_terminal())
        .with_writer(io::stderr)
        .init();
}
