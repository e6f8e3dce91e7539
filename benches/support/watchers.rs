//! The cost of an idle stream.

use futures_util::future::join_all;
use tonic::Streaming;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse, health_client::HealthClient};

use crate::{
    crowds::{CROWD, NEIGHBOUR, channel, idle_watchers, job, memory, stage},
    server::Server,
};

pub(crate) const CONNECTIONS: usize = 100;
pub(crate) const EACH: usize = 100;

/// The memory of an idle watcher in the service, and of an idle stream in a bare server, in
/// bytes, for each round.
pub(crate) async fn compare(rounds: usize) -> Vec<(f64, f64)> {
    let mut all = Vec::new();
    for _ in 0..rounds {
        let server = Server::pipewright(&[]);
        let job = job(
            &channel(NEIGHBOUR, server.address),
            vec![stage("s", "true")],
        )
        .await;
        let before = memory(server.id());
        let watchers = idle_watchers(server.address, &job, CONNECTIONS, EACH).await;
        let own = each(memory(server.id()) - before);
        drop(watchers);

        let server = Server::bare();
        drop(watch_health(&server, 1).await);
        let before = memory(server.id());
        let streams = watch_health(&server, CONNECTIONS).await;
        all.push((own, each(memory(server.id()) - before)));
        drop(streams);
    }
    all
}

async fn watch_health(server: &Server, connections: usize) -> Vec<Streaming<HealthCheckResponse>> {
    let mut streams = Vec::new();
    for _ in 0..connections {
        let client = HealthClient::new(channel(CROWD, server.address));
        let begun = (0..EACH).map(async |_| {
            let request = HealthCheckRequest::default();
            let mut stream = client.clone().watch(request).await.unwrap().into_inner();
            stream.message().await.unwrap().unwrap();
            stream
        });
        streams.extend(join_all(begun).await);
    }
    streams
}

/// Bytes of one stream, if all streams together take `kibibytes`.
fn each(kibibytes: u64) -> f64 {
    (kibibytes * 1024) as f64 / (CONNECTIONS * EACH) as f64
}
