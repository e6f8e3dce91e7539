//! Traces as a collector receives them: the call within its caller's trace, the
//! stage within the call, and the command continuing the stage's span.

#![cfg(feature = "otlp")]
#![allow(
    clippy::unwrap_used,
    reason = "in a test's helper, too, a panic is the report"
)]

use std::{
    collections::HashMap,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    task::{Context, Poll},
};

use http::{Request, Response};
use pipewright::proto::v1::{self, pipeline_service_client::PipelineServiceClient};
use prost::Message;
use tokio::{net::TcpListener, sync::mpsc};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{body::Body, codegen::BoxFuture, server::NamedService, transport::Server};
use tonic_prost::ProstCodec;
use tower::Service;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";

/// The part of `opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest`
/// that the test reads.
#[derive(Clone, PartialEq, Message)]
struct Export {
    #[prost(message, repeated, tag = "1")]
    resources: Vec<ResourceSpans>,
}

#[derive(Clone, PartialEq, Message)]
struct ResourceSpans {
    #[prost(message, repeated, tag = "2")]
    scopes: Vec<ScopeSpans>,
}

#[derive(Clone, PartialEq, Message)]
struct ScopeSpans {
    #[prost(message, repeated, tag = "2")]
    spans: Vec<Span>,
}

#[derive(Clone, PartialEq, Message)]
struct Span {
    #[prost(bytes = "vec", tag = "1")]
    trace_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    span_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    parent_span_id: Vec<u8>,
    #[prost(string, tag = "5")]
    name: String,
}

/// A collector that forwards the received spans.
#[derive(Clone)]
struct Collector(mpsc::UnboundedSender<Span>);

impl NamedService for Collector {
    const NAME: &'static str = "opentelemetry.proto.collector.trace.v1.TraceService";
}

impl Service<Request<Body>> for Collector {
    type Response = Response<Body>;
    type Error = std::convert::Infallible;
    type Future = BoxFuture<Response<Body>, Self::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let found = self.0.clone();
        let take = tower::service_fn(move |request: tonic::Request<Export>| {
            let found = found.clone();
            async move {
                let resources = request.into_inner().resources.into_iter();
                let scopes = resources.flat_map(|resource| resource.scopes);
                for span in scopes.flat_map(|scope| scope.spans) {
                    // A test that has seen enough no longer receives.
                    let _ = found.send(span);
                }
                Ok::<_, tonic::Status>(tonic::Response::new(()))
            }
        });
        Box::pin(async move {
            let mut grpc = tonic::server::Grpc::new(ProstCodec::<(), Export>::default());
            Ok(grpc.unary(take, request).await)
        })
    }
}

/// A process that is killed at the end of the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn a_trace_leads_from_the_caller_through_the_queue_into_the_command() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let collector = format!("http://{}", listener.local_addr().unwrap());
    let (found, mut spans) = mpsc::unbounded_channel();
    let serving = Server::builder().add_service(Collector(found));
    tokio::spawn(serving.serve_with_incoming(TcpListenerStream::new(listener)));

    let directory = tempfile::tempdir().unwrap();
    let mut service = Command::new(env!("CARGO_BIN_EXE_pipewright"))
        .args(["serve", "--listen", "127.0.0.1:0"])
        .env("TMPDIR", directory.path())
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", collector)
        .env("OTEL_BSP_SCHEDULE_DELAY", "50")
        .stderr(Stdio::piped())
        .spawn()
        .map(Running)
        .unwrap();
    let mut lines = BufReader::new(service.0.stderr.take().unwrap()).lines();
    let address = lines.find_map(|line| {
        let line = line.unwrap();
        let (_, address) = line.split_once("address=")?;
        Some(address.split_whitespace().next()?.to_owned())
    });
    let address = address.unwrap();

    let path = directory.path().join("traceparent");
    let stage = v1::Stage {
        name: "s".to_owned(),
        action: Some(v1::stage::Action::Command(format!(
            "echo \"$TRACEPARENT\" > {}",
            path.display()
        ))),
        ..Default::default()
    };
    let pipeline = v1::Pipeline {
        name: "p".to_owned(),
        stages: vec![stage],
        ..Default::default()
    };
    let channel = tonic::transport::Endpoint::from_shared(format!("http://{address}")).unwrap();
    let mut pipelines = PipelineServiceClient::new(channel.connect().await.unwrap());
    let create = v1::CreatePipelineRequest {
        pipeline: Some(pipeline),
        ..Default::default()
    };
    let created = pipelines
        .create_pipeline(create)
        .await
        .unwrap()
        .into_inner();
    let mut trigger = tonic::Request::new(v1::TriggerPipelineRequest {
        pipeline_id: created.pipeline.unwrap().id,
        ..Default::default()
    });
    let parent = format!("00-{TRACE}-{CALLER}-01").parse().unwrap();
    trigger.metadata_mut().insert("traceparent", parent);
    pipelines.trigger_pipeline(trigger).await.unwrap();

    let mut of_trace = HashMap::new();
    while of_trace.len() < 2 {
        let span = spans.recv().await.unwrap();
        if hex(&span.trace_id) == TRACE {
            of_trace.insert(span.name.clone(), span);
        }
    }
    let call = &of_trace["pipewright.v1.PipelineService/TriggerPipeline"];
    let stage = &of_trace["stage s"];
    assert_eq!(hex(&call.parent_span_id), CALLER);
    assert_eq!(stage.parent_span_id, call.span_id);
    let written = std::fs::read_to_string(path).unwrap();
    assert_eq!(written, format!("00-{TRACE}-{}-01\n", hex(&stage.span_id)));
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
