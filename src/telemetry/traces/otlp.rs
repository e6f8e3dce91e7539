use std::collections::HashMap;

use opentelemetry::{propagation::TextMapPropagator, trace::TracerProvider};
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::{Resource, propagation::TraceContextPropagator, trace::SdkTracerProvider};
use tracing::{Metadata, Span, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::{
    Layer,
    filter::{LevelFilter, filter_fn},
    registry::LookupSpan,
};

use crate::domain::TraceContext;

use super::TARGET;

/// Exports traces, and flushes them when it is dropped.
#[derive(Debug)]
pub struct Traces {
    provider: Option<SdkTracerProvider>,
    failure: Option<String>,
}

impl Traces {
    /// Warns if traces are enabled and cannot be sent.
    pub(in crate::telemetry) fn warn(&self) {
        if let Some(failure) = &self.failure {
            tracing::warn!(failure, "no traces are sent");
        }
    }
}

impl Drop for Traces {
    fn drop(&mut self) {
        if let Some(provider) = &self.provider
            && let Err(error) = provider.shutdown()
        {
            tracing::warn!(%error, "the last traces may not have been sent");
        }
    }
}

/// A layer that exports spans to the collector that the environment configures.
pub(in crate::telemetry) fn start<S>() -> (impl Layer<S>, Traces)
where
    S: tracing::Subscriber + for<'span> LookupSpan<'span>,
{
    let (provider, failure) = if super::is_wanted() {
        match SpanExporter::builder().with_tonic().build() {
            Ok(exporter) => (Some(provider(exporter)), None),
            Err(error) => (None, Some(error.to_string())),
        }
    } else {
        (None, None)
    };
    let layer = provider.as_ref().map(|provider| {
        let tracer = provider.tracer("pipewright");
        let ours = filter_fn(|metadata: &Metadata<'_>| metadata.target() == TARGET)
            .with_max_level_hint(LevelFilter::INFO);
        tracing_opentelemetry::layer()
            .with_tracer(tracer)
            .with_location(false)
            .with_threads(false)
            .with_filter(ours)
    });
    (layer, Traces { provider, failure })
}

fn provider(exporter: SpanExporter) -> SdkTracerProvider {
    // OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES override this name.
    let resource = Resource::builder()
        .with_attribute(opentelemetry::KeyValue::new(
            "service.version",
            env!("CARGO_PKG_VERSION"),
        ))
        .build();
    SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(resource)
        .build()
}

pub fn call(service: &'static str, method: &'static str, parent: Option<&TraceContext>) -> Span {
    let span = info_span!(
        target: TARGET,
        "call",
        otel.name = format!("{service}/{method}"),
        otel.kind = "server",
        rpc.system = "grpc",
        rpc.service = service,
        rpc.method = method,
    );
    adopt(span, parent)
}

pub fn stage(job: &str, name: &str, attempt: u32, parent: Option<&TraceContext>) -> Span {
    let span = info_span!(
        target: TARGET,
        "stage",
        otel.name = format!("stage {name}"),
        pipewright.job.id = job,
        pipewright.stage.name = name,
        pipewright.stage.attempt = attempt,
    );
    adopt(span, parent)
}

/// The trace context to propagate from a span; none if spans are not collected.
pub fn context(span: &Span) -> Option<TraceContext> {
    let mut headers = HashMap::new();
    TraceContextPropagator::new().inject_context(&span.context(), &mut headers);
    let state = headers.get("tracestate").map_or("", String::as_str);
    TraceContext::read(headers.get("traceparent")?, state)
}

fn adopt(span: Span, parent: Option<&TraceContext>) -> Span {
    if let Some(parent) = parent {
        let headers = HashMap::from([
            ("traceparent".to_owned(), parent.parent().to_owned()),
            ("tracestate".to_owned(), parent.state().to_owned()),
        ]);
        let context = TraceContextPropagator::new().extract(&headers);
        // Fails only if spans are not collected.
        let _ = span.set_parent(context);
    }
    span
}
