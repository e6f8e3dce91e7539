//! Spans of traces: what is called, and what runs. Without the feature `otlp`, and
//! where the environment names no collector, they are not there, and the context of
//! a caller's trace is passed on as it came.

#[cfg_attr(feature = "otlp", path = "otlp.rs")]
#[cfg_attr(not(feature = "otlp"), path = "none.rs")]
mod export;

pub(super) use export::start;
pub use export::{Traces, call, context, stage};

/// The target of the spans.
pub(super) const TARGET: &str = "pipewright::trace";

/// Whether the environment asks for traces, by the names of OpenTelemetry.
fn is_wanted() -> bool {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    is_set("OTEL_EXPORTER_OTLP_ENDPOINT") || is_set("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
}
