use std::io::{self, IsTerminal};

use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    filter::{FilterExt, LevelFilter, filter_fn},
    fmt,
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

use super::{
    lines::{LastLines, Lines},
    traces::{self, TARGET, Traces},
};

/// Starts logging to standard error, and the export of traces if the environment configures
/// it. `RUST_LOG` filters the log, in the syntax of `tracing_subscriber::EnvFilter`;
/// `default` is the filter if it is unset. Dropping the result stops the export.
pub fn init(default: &str) -> Telemetry {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let (out, last_lines) = Lines::to(io::stderr());
    let (spans, traces) = traces::start();
    tracing_subscriber::registry()
        .with(lines(filter, out))
        .with(spans)
        .init();
    traces.warn();
    Telemetry {
        _traces: traces,
        _last_lines: last_lines,
    }
}

/// Flushes the traces, then the log, when it is dropped.
pub struct Telemetry {
    _traces: Traces,
    _last_lines: LastLines,
}

/// Every filter here must have a maximum level hint. Otherwise the spans that HTTP/2 creates
/// for each frame are created, only to be discarded.
fn lines(filter: EnvFilter, out: Lines) -> impl Layer<Registry> {
    // The spans of traces go to the collector, not to the log.
    let no_traces = filter_fn(|metadata| metadata.target() != TARGET);
    fmt::layer()
        .with_target(false)
        .with_ansi(io::stderr().is_terminal())
        .with_writer(out)
        .with_filter(filter.and(no_traces.with_max_level_hint(LevelFilter::TRACE)))
}

#[cfg(test)]
mod tests {
    use tracing::Subscriber;

    use super::*;

    #[test]
    fn the_subscriber_has_a_max_level_hint() {
        let (spans, _traces) = traces::start();
        let (out, _last_lines) = Lines::to(io::sink());
        let subscriber = tracing_subscriber::registry()
            .with(lines(EnvFilter::new("info"), out))
            .with(spans);
        assert_eq!(subscriber.max_level_hint(), Some(LevelFilter::INFO));
    }
}
