//! Tracing spans of calls and stages. Without the feature `otlp`, or if the environment
//! configures no collector, there are no spans, and the caller's trace context is propagated
//! unchanged.

#[cfg_attr(feature = "otlp", path = "otlp.rs")]
#[cfg_attr(not(feature = "otlp"), path = "none.rs")]
mod export;

pub(super) use export::start;
pub use export::{Traces, call, context, stage};

/// The target of the spans.
pub(super) const TARGET: &str = "pipewright::trace";

/// Whether OpenTelemetry's environment variables enable traces.
fn is_wanted() -> bool {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    is_set("OTEL_EXPORTER_OTLP_ENDPOINT") || is_set("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
}
