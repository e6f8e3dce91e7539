use std::io::{self, IsTerminal};

use tracing_subscriber::{
    EnvFilter, Layer, filter::filter_fn, layer::SubscriberExt, util::SubscriberInitExt,
};

use super::traces::{self, TARGET, Traces};

/// Writes readable logs to standard error. `RUST_LOG` says what is told, by the
/// syntax of `tracing_subscriber::EnvFilter`; `default` does where it is unset. Sends
/// traces to where the environment says, until the answer is dropped.
pub fn init(default: &str) -> Traces {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let lines = tracing_subscriber::fmt::layer()
        .with_target(false)
        .with_ansi(io::stderr().is_terminal())
        .with_writer(io::stderr)
        .with_filter(filter)
        // The spans of traces are for the collector.
        .with_filter(filter_fn(|metadata| metadata.target() != TARGET));
    let (spans, traces) = traces::start();
    tracing_subscriber::registry()
        .with(lines)
        .with(spans)
        .init();
    traces.warn();
    traces
}
