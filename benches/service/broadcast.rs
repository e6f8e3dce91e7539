//! Fan-out with tokio's broadcast channel and bare tonic: each subscriber gets each event as
//! a message, which tonic's codec encodes.

use std::pin::Pin;

use futures_util::{Stream, StreamExt, stream};
use pipewright::proto::v1::{
    GetPipelineRequest, JobEventBatch, WatchJobResponse, watch_job_response::Payload,
};
use tokio::{sync::broadcast, task};
use tokio_stream::wrappers::BroadcastStream;
use tonic::{
    Request, Response, Status,
    codegen::BoxFuture,
    server::{ServerStreamingService, UnaryService},
};

/// More events than ever wait.
const CAPACITY: usize = 1_024;

#[derive(Clone)]
pub(crate) struct Broadcast(broadcast::Sender<WatchJobResponse>);

impl Broadcast {
    pub(crate) fn new() -> Self {
        Self(broadcast::Sender::new(CAPACITY))
    }
}

/// Begins with an empty message, as a watch begins with a snapshot.
pub(crate) struct Subscribe(pub(crate) Broadcast);

impl ServerStreamingService<GetPipelineRequest> for Subscribe {
    type Response = WatchJobResponse;
    type ResponseStream = Pin<Box<dyn Stream<Item = Result<WatchJobResponse, Status>> + Send>>;
    type Future = BoxFuture<Response<Self::ResponseStream>, Status>;

    fn call(&mut self, _: Request<GetPipelineRequest>) -> Self::Future {
        let events = BroadcastStream::new(self.0.0.subscribe());
        let events = events.map(|event| event.map_err(|lag| Status::data_loss(lag.to_string())));
        let all = stream::iter([Ok(WatchJobResponse::default())]).chain(events);
        Box::pin(async { Ok(Response::new(Box::pin(all) as Self::ResponseStream)) })
    }
}

/// Publishes the events of a batch one by one, each when all subscribers have received the
/// previous one: otherwise the slowest subscriber would lose events.
pub(crate) struct Publish(pub(crate) Broadcast);

impl UnaryService<JobEventBatch> for Publish {
    type Response = GetPipelineRequest;
    type Future = BoxFuture<Response<GetPipelineRequest>, Status>;

    fn call(&mut self, request: Request<JobEventBatch>) -> Self::Future {
        let Broadcast(sender) = self.0.clone();
        Box::pin(async move {
            for event in request.into_inner().events {
                while !sender.is_empty() {
                    task::yield_now().await;
                }
                let events = vec![event];
                let batch = Payload::Events(JobEventBatch { events });
                let _ = sender.send(WatchJobResponse {
                    payload: Some(batch),
                });
            }
            Ok(Response::new(GetPipelineRequest::default()))
        })
    }
}
