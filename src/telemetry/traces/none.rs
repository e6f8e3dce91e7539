use tracing::Span;
use tracing_subscriber::layer::Identity;

use crate::domain::TraceContext;

/// Sends nothing.
#[derive(Debug)]
pub struct Traces(());

impl Traces {
    /// Says what is asked for in vain.
    pub(in crate::telemetry) fn warn(&self) {
        if super::is_wanted() {
            tracing::warn!(
                "OTEL_EXPORTER_OTLP_ENDPOINT is set, but this program was built without the \
                 feature otlp: it sends no traces"
            );
        }
    }
}

/// No layer.
pub(in crate::telemetry) fn start() -> (Option<Identity>, Traces) {
    (None, Traces(()))
}

/// The span of a call that the service answers.
pub fn call(_: &'static str, _: &'static str, _: Option<&TraceContext>) -> Span {
    Span::none()
}

/// The span of a stage that a runner runs.
pub fn stage(_: &str, _: &str, _: u32, _: Option<&TraceContext>) -> Span {
    Span::none()
}

/// The context for what goes on inside a span.
pub fn context(_: &Span) -> Option<TraceContext> {
    None
}
