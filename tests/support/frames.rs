//! HTTP/2 frames that no client would send, or not in such numbers.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time,
};

use crate::crowds::{CROWD, PATIENCE};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PUSH_PROMISE: u8 = 5;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
    [&head, payload].concat()
}

/// A header that is not indexed (RFC 7541, 6.2.2), both strings shorter than 127
/// bytes.
fn header(name: &str, value: &str) -> Vec<u8> {
    let text = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    [vec![0], text(name), text(value)].concat()
}

/// The headers of a valid call.
fn call() -> Vec<u8> {
    [
        header(":method", "POST"),
        header(":scheme", "http"),
        header(":authority", "localhost"),
        header(":path", "/pipewright.v1.PipelineService/GetPipeline"),
        header("content-type", "application/grpc"),
        header("te", "trailers"),
    ]
    .concat()
}

fn odd(position: u32) -> u32 {
    2 * position + 1
}

/// What one client sends after its preface and settings, for each flood.
pub(crate) fn floods() -> Vec<(&'static str, Vec<u8>)> {
    let reset = |stream| {
        let headers = frame(HEADERS, END_HEADERS, stream, &call());
        [headers, frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes())].concat()
    };
    let head = frame(HEADERS, END_HEADERS, 1, &call());
    let more = frame(
        CONTINUATION,
        0,
        1,
        &header("x", &"x".repeat(100)).repeat(10),
    );
    let endless = [frame(HEADERS, 0, 1, &call()), more.repeat(2_000)].concat();
    let many = header("x", &"x".repeat(100)).repeat(150);
    vec![
        ("resets", (0..10_000).map(odd).flat_map(reset).collect()),
        ("pings", frame(PING, 0, 0, &[0; 8]).repeat(20_000)),
        ("settings", frame(SETTINGS, 0, 0, &[]).repeat(20_000)),
        ("continuations", endless),
        (
            "large headers",
            (0..200)
                .map(odd)
                .flat_map(|stream| {
                    frame(
                        HEADERS,
                        END_HEADERS | END_STREAM,
                        stream,
                        &[call(), many.clone()].concat(),
                    )
                })
                .collect(),
        ),
        (
            "empty data",
            [head.clone(), frame(DATA, 0, 1, &[]).repeat(20_000)].concat(),
        ),
        (
            "single bytes",
            [head, frame(DATA, 0, 1, &[0]).repeat(20_000)].concat(),
        ),
        (
            "priorities",
            frame(PRIORITY, 0, 1, &[0, 0, 0, 3, 9]).repeat(20_000),
        ),
        (
            "calls without a message",
            (0..2_000)
                .map(odd)
                .flat_map(|stream| frame(HEADERS, END_HEADERS | END_STREAM, stream, &call()))
                .collect(),
        ),
    ]
}

/// Bytes that are not HTTP/2, or not valid at this point.
pub(crate) fn malformed() -> Vec<(&'static str, Vec<u8>)> {
    let head = frame(HEADERS, END_HEADERS, 1, &call());
    let after = |rest: Vec<u8>| [head.clone(), rest].concat();
    let most = (u32::MAX >> 1).to_be_bytes();
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut noise = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    vec![
        ("noise", (0..8_192).flat_map(|_| noise()).collect()),
        (
            "a frame of 16 MiB",
            vec![0xff, 0xff, 0xff, DATA, 0, 0, 0, 0, 1],
        ),
        ("data of no stream", frame(DATA, 0, 0, b"x")),
        ("data before headers", frame(DATA, 0, 1, b"x")),
        ("an even stream", frame(HEADERS, END_HEADERS, 2, &call())),
        (
            "no header block",
            frame(HEADERS, END_HEADERS, 1, &[0xff; 64]),
        ),
        (
            "headers without a path",
            frame(HEADERS, END_HEADERS, 1, &header(":method", "POST")),
        ),
        (
            "padding longer than its frame",
            frame(HEADERS, END_HEADERS | 8, 1, &[0xff, 0]),
        ),
        ("half a setting", frame(SETTINGS, 0, 0, &[0; 5])),
        (
            "a window of 4 GiB",
            frame(SETTINGS, 0, 0, &[0, 4, 0xff, 0xff, 0xff, 0xff]),
        ),
        ("a short ping", frame(PING, 0, 0, &[0; 7])),
        ("a push", frame(PUSH_PROMISE, END_HEADERS, 1, &[0; 8])),
        (
            "a continuation of nothing",
            frame(CONTINUATION, END_HEADERS, 1, &[]),
        ),
        (
            "a window that grows by nothing",
            after(frame(WINDOW_UPDATE, 0, 1, &[0; 4])),
        ),
        (
            "a window that overflows",
            after(frame(WINDOW_UPDATE, 0, 1, &most).repeat(2)),
        ),
        (
            "headers in headers",
            [
                frame(HEADERS, 0, 1, &call()),
                frame(HEADERS, END_HEADERS, 3, &call()),
            ]
            .concat(),
        ),
        (
            "a stream that depends on itself",
            frame(PRIORITY, 0, 1, &[0, 0, 0, 1, 9]),
        ),
        (
            "farewell, and then more",
            after(frame(GOAWAY, 0, 0, &[0; 8]).repeat(100)),
        ),
        (
            "a message that is none",
            after(frame(
                DATA,
                END_STREAM,
                1,
                &[0, 0, 0, 0, 4, 0xff, 0xff, 0xff, 0xff],
            )),
        ),
        (
            "a message that says it is compressed",
            after(frame(DATA, END_STREAM, 1, &[1, 0, 0, 0, 1, 0])),
        ),
        (
            "a message of 4 GiB",
            after(frame(DATA, END_STREAM, 1, &[0, 0xff, 0xff, 0xff, 0xff])),
        ),
        (
            "half a message",
            after(frame(DATA, END_STREAM, 1, &[0, 0, 0, 0, 9, 1])),
        ),
        (
            "unknown frames",
            frame(0xee, 0xff, 7, &[0; 100]).repeat(1_000),
        ),
    ]
}

pub(crate) async fn connect(from: Ipv4Addr, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((from, 0).into()).unwrap();
    socket.connect(to).await.unwrap()
}

/// Sends frames, closes the sending side, and reads until the service closes. How
/// much of it the service reads before does not matter.
pub(crate) async fn send(service: SocketAddr, frames: &[u8]) -> Vec<u8> {
    let (mut read, mut write) = connect(CROWD, service).await.into_split();
    let sending = async {
        let opening = [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat();
        let _ = write.write_all(&opening).await;
        let _ = write.write_all(frames).await;
        let _ = write.shutdown().await;
    };
    let mut answer = Vec::new();
    let both = async { tokio::join!(sending, read.read_to_end(&mut answer)) };
    let _ = time::timeout(PATIENCE, both).await.expect("a close");
    answer
}
