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

/// Writes readable logs to standard error. `RUST_LOG` says what is told, by the
/// syntax of `tracing_subscriber::EnvFilter`; `default` does where it is unset. Sends
/// traces to where the environment says, until the answer is dropped.
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

/// Sends what is left of traces, then of the log, when it is dropped.
pub struct Telemetry {
    _traces: Traces,
    _last_lines: LastLines,
}

/// What filters here has to say how much it lets through at most, all of it: else
/// the spans that HTTP/2 has for each frame are made, only to be thrown away.
fn lines(filter: EnvFilter, out: Lines) -> impl Layer<Registry> {
    // The spans of traces are for the collector.
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
    fn what_is_not_told_is_not_made() {
        let (spans, _traces) = traces::start();
        let (out, _last_lines) = Lines::to(io::sink());
        let subscriber = tracing_subscriber::registry()
            .with(lines(EnvFilter::new("info"), out))
            .with(spans);
        assert_eq!(subscriber.max_level_hint(), Some(LevelFilter::INFO));
    }
}
