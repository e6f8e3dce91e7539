use std::io::{self, IsTerminal};

use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    filter::{FilterExt, LevelFilter, filter_fn},
    fmt,
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

use super::traces::{self, TARGET, Traces};

/// Writes readable logs to standard error. `RUST_LOG` says what is told, by the
/// syntax of `tracing_subscriber::EnvFilter`; `default` does where it is unset. Sends
/// traces to where the environment says, until the answer is dropped.
pub fn init(default: &str) -> Traces {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let (spans, traces) = traces::start();
    tracing_subscriber::registry()
        .with(lines(filter))
        .with(spans)
        .init();
    traces.warn();
    traces
}

/// What filters here has to say how much it lets through at most, all of it: else
/// the spans that HTTP/2 has for each frame are made, only to be thrown away.
fn lines(filter: EnvFilter) -> impl Layer<Registry> {
    // The spans of traces are for the collector.
    let no_traces = filter_fn(|metadata| metadata.target() != TARGET);
    fmt::layer()
        .with_target(false)
        .with_ansi(io::stderr().is_terminal())
        .with_writer(io::stderr)
        .with_filter(filter.and(no_traces.with_max_level_hint(LevelFilter::TRACE)))
}

#[cfg(test)]
mod tests {
    use tracing::Subscriber;

    use super::*;

    #[test]
    fn what_is_not_told_is_not_made() {
        let (spans, _traces) = traces::start();
        let subscriber = tracing_subscriber::registry()
            .with(lines(EnvFilter::new("info")))
            .with(spans);
        assert_eq!(subscriber.max_level_hint(), Some(LevelFilter::INFO));
    }
}
