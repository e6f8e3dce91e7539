//! A bare tonic server with tonic's codec: the cost of a service that does nothing.

use std::{convert::Infallible, future::Ready, task};

use pipewright::proto::v1::GetPipelineRequest;
use tokio::net::TcpListener;
use tonic::{
    Request, Response, Status,
    body::Body,
    codegen::{BoxFuture, Service, http},
    server::{Grpc, NamedService, UnaryService},
    transport::{Server, server::TcpIncoming},
};
use tonic_prost::ProstCodec;

use crate::{
    bare_log,
    broadcast::{Broadcast, Publish, Subscribe},
};

pub(crate) const ARGUMENT: &str = "--bare";
pub(crate) const ECHO: &str = "/bench.Bare/Echo";
pub(crate) const SUBSCRIBE: &str = "/bench.Bare/Subscribe";
pub(crate) const PUBLISH: &str = "/bench.Bare/Publish";

pub(crate) async fn serve() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    eprintln!("address={}", listener.local_addr().unwrap());
    let (_, health) = tonic_health::server::health_reporter();
    Server::builder()
        .add_service(health)
        .add_service(Bare(Broadcast::new()))
        .serve_with_incoming(TcpIncoming::from(listener).with_nodelay(Some(true)))
        .await
        .unwrap();
}

/// Written as tonic's generated code would be.
#[derive(Clone)]
struct Bare(Broadcast);

impl NamedService for Bare {
    const NAME: &'static str = "bench.Bare";
}

impl Service<http::Request<Body>> for Bare {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, _: &mut task::Context<'_>) -> task::Poll<Result<(), Infallible>> {
        task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let broadcast = self.0.clone();
        match request.uri().path() {
            ECHO => Box::pin(async move {
                let mut grpc = Grpc::new(ProstCodec::default());
                Ok(grpc.unary(Echo, request).await)
            }),
            SUBSCRIBE => Box::pin(async move {
                let mut grpc = Grpc::new(ProstCodec::default());
                let subscribe = Subscribe(broadcast);
                Ok(grpc.server_streaming(subscribe, request).await)
            }),
            PUBLISH => Box::pin(async move {
                let mut grpc = Grpc::new(ProstCodec::default());
                Ok(grpc.unary(Publish(broadcast), request).await)
            }),
            bare_log::FILE => Box::pin(async move {
                let mut grpc = Grpc::new(ProstCodec::default());
                Ok(grpc.server_streaming(bare_log::Stream, request).await)
            }),
            _ => Box::pin(async { Ok(Status::unimplemented("").into_http()) }),
        }
    }
}

struct Echo;

impl UnaryService<GetPipelineRequest> for Echo {
    type Response = GetPipelineRequest;
    type Future = Ready<Result<Response<GetPipelineRequest>, Status>>;

    fn call(&mut self, request: Request<GetPipelineRequest>) -> Self::Future {
        std::future::ready(Ok(Response::new(request.into_inner())))
    }
}
