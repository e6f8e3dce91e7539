//! A bare tonic server with an idle stream, as a watcher's, and the flow control windows of
//! the service.

use tokio::net::TcpListener;
use tonic::transport::{Server, server::TcpIncoming};

pub(crate) const ARGUMENT: &str = "--bare";

/// Serves the health service, whose `Watch` sends one message and then waits.
pub(crate) async fn serve() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    eprintln!("address={}", listener.local_addr().unwrap());
    let (_, health) = tonic_health::server::health_reporter();
    Server::builder()
        .initial_stream_window_size(64 * 1024)
        .initial_connection_window_size(8 * 1024 * 1024)
        .add_service(health)
        .serve_with_incoming(TcpIncoming::from(listener))
        .await
        .unwrap();
}
