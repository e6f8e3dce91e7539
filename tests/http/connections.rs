//! Limits of connections, and how long they may be silent.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::{io::AsyncWriteExt, net::TcpStream};
use tonic::Code;

use crate::{
    raw::{exchange, until_closed},
    world::{World, cancel, end, list, refusal, waiting_job, watch},
};

/// Long enough for a client that means to send something.
const SHORT: Duration = Duration::from_secs(1);

fn too_many(setting: &str) -> (Code, String, String) {
    let reason = "TOO_MANY_CONNECTIONS".to_owned();
    (Code::ResourceExhausted, reason, setting.to_owned())
}

#[tokio::test]
async fn a_connection_over_the_limit_gets_an_error() {
    let world = World::limited(|limits| limits.max_connections = 1).await;
    let first = world.channel();
    list(&first).await.unwrap();
    assert_eq!(
        refusal(list(&world.channel()).await),
        too_many("max_connections")
    );
    let plain = exchange(
        world.address,
        b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n",
    )
    .await;
    assert!(plain.starts_with("HTTP/1.1 503 "), "{plain}");
    assert!(
        plain.contains("at most 1 connections may be open"),
        "{plain}"
    );
    assert!(plain.contains("max_connections"), "{plain}");
    // The first one is served further, and its slot is free when it is gone.
    list(&first).await.unwrap();
    drop(first);
    while list(&world.channel()).await.is_err() {
        tokio::task::yield_now().await;
    }
    world.stop().await;
}

#[tokio::test]
async fn one_address_cannot_take_all_connections() {
    let world = World::limited(|limits| limits.max_connections_per_address = 1).await;
    let first = world.channel();
    list(&first).await.unwrap();
    let refused = refusal(list(&world.channel()).await);
    assert_eq!(refused, too_many("max_connections_per_address"));
}

#[tokio::test]
async fn silent_and_slow_clients_are_disconnected() {
    let world = World::limited(|limits| limits.request_timeout = SHORT).await;
    let channel = world.channel();
    let job = waiting_job(&channel).await;
    let stream = watch(&channel, &job).await;
    let settings = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    let begun = [
        &b""[..],
        b"PRI * HTT",
        settings,
        b"GET / HTTP/1.1\r\nhost: local",
        b"GET / HTTP/1.1\r\nhost: localhost\r\nx: y\r\n",
    ];
    let cut_off = begun.map(|begun| exchange(world.address, begun));
    for answer in join_all(cut_off).await {
        assert!(!answer.contains("200 OK"), "{answer}");
    }
    // A client with an open call may wait as long as it takes.
    cancel(&channel, &job).await;
    end(stream).await.unwrap();
}

/// A byte now and then is not progress.
#[tokio::test]
async fn dribbled_headers_do_not_extend_the_deadline() {
    let world = World::limited(|limits| limits.request_timeout = SHORT).await;
    let stream = TcpStream::connect(world.address).await.unwrap();
    let (read, mut write) = stream.into_split();
    let mut pause = tokio::time::interval(SHORT / 10);
    let dribble = tokio::spawn(async move {
        let _ = write.write_all(b"GET / HTTP/1.1\r\nx: ").await;
        while write.write_all(b"x").await.is_ok() {
            pause.tick().await;
        }
        write
    });
    let write = tokio::time::timeout(crate::world::PATIENCE, dribble).await;
    drop((read, write.expect("the service closes").unwrap()));
}

/// The system counts keepalive in whole seconds, up to nine hours.
#[tokio::test]
async fn every_accepted_keepalive_setting_works() {
    for (interval, timeout) in [
        (Duration::from_secs(24 * 60 * 60), Duration::from_secs(5)),
        (Duration::from_secs(5), Duration::from_millis(100)),
    ] {
        let world = World::limited(|limits| {
            limits.keepalive_interval = interval;
            limits.keepalive_timeout = timeout;
        });
        list(&world.await.channel()).await.unwrap();
    }
}

#[tokio::test]
async fn idle_connections_of_http_1_are_closed() {
    let world = World::limited(|limits| limits.request_timeout = SHORT).await;
    let answer = exchange(
        world.address,
        b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n",
    )
    .await;
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
}

#[tokio::test]
async fn garbage_gets_a_response_and_harms_no_other_client() {
    let world = World::start().await;
    let tls = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
    for garbage in [&[0xff; 64][..], tls, b"\r\n\r\n\0\0\0", b"hello\r\n\r\n"] {
        let answer = exchange(world.address, garbage).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    }
    let no_frame = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &[0xff; 64][..]].concat();
    exchange(world.address, &no_frame).await;
    list(&world.channel()).await.unwrap();
}

#[tokio::test]
async fn a_stop_closes_silent_connections_immediately() {
    let world = World::start().await;
    let silent = TcpStream::connect(world.address).await.unwrap();
    let idle = world.channel();
    list(&idle).await.unwrap();
    world.stop().await;
    assert_eq!(until_closed(silent).await, "");
}
