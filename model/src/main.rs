//! The wake-ups of `src/http/deferred`, in all possible orders. A connection's task
//! only waits here once it has flushed. So a lost wake-up leaves all threads
//! asleep, and loom reports that.

#![allow(clippy::unwrap_used, reason = "a panic is the report")]

#[path = "../../src/http/deferred/mod.rs"]
mod deferred;
mod scheduler;
mod socket;

use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use loom::{future::block_on, model::Builder};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use deferred::Deferred;
use socket::Socket;

type Connection = Deferred<Socket>;

/// The limit of preemptions where all interleavings would be too many.
const PREEMPTIONS: Option<usize> = Some(3);

fn main() {
    check("an answer", None, || answered(Socket::default(), &["a"]));
    check("two answers", PREEMPTIONS, || {
        answered(Socket::default(), &["a", "b"])
    });
    check("three answers", PREEMPTIONS, || {
        answered(Socket::default(), &["a", "b", "c"])
    });
    check("a full socket", PREEMPTIONS, || {
        answered(Socket::full(), &["a"])
    });
    check("a full socket, two answers", PREEMPTIONS, || {
        answered(Socket::full(), &["a", "b"])
    });
    check("another task", None, moved_to_another_task);
    check("a shutdown", PREEMPTIONS, shut_down);
    check("a drop", None, dropped);
}

fn check(name: &str, preemptions: Option<usize>, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = preemptions;
    builder.check(model);
    println!("{name}: holds");
}

/// Responses are written at any time, and all of them arrive.
fn answered(socket: Socket, answers: &'static [&'static str]) {
    let mut connection = Deferred::new(socket.clone());
    let mut sent = String::new();
    for answer in answers {
        sent += answer;
        // Other wake-ups of the task also continue here, in the same pass or a later one.
        block_on(poll_fn(|context| {
            write_and_flush(&mut connection, context, answer);
            Poll::Ready(())
        }));
    }
    block_on(all_arrives(&mut connection, &socket, &sent));
}

/// The task that flushed does not wait; another does.
fn moved_to_another_task() {
    let socket = Socket::default();
    let mut connection = Deferred::new(socket.clone());
    write_and_flush(
        &mut connection,
        &mut Context::from_waker(Waker::noop()),
        "a",
    );
    block_on(all_arrives(&mut connection, &socket, "a"));
}

fn shut_down() {
    let socket = Socket::full();
    let mut connection = Deferred::new(socket.clone());
    block_on(poll_fn(|context| {
        write_and_flush(&mut connection, context, "a");
        Poll::Ready(())
    }));
    block_on(poll_fn(|context| {
        Pin::new(&mut connection).poll_shutdown(context)
    }))
    .unwrap();
    assert!(socket.has_received(b"a"));
}

/// The scheduler still has the waker, and may use it at any time.
fn dropped() {
    let socket = Socket::default();
    let mut connection = Deferred::new(socket.clone());
    write_and_flush(
        &mut connection,
        &mut Context::from_waker(Waker::noop()),
        "a",
    );
    drop(connection);
    assert!(socket.has_received(b"a"));
}

fn write_and_flush(connection: &mut Connection, context: &mut Context<'_>, data: &str) {
    let written = Pin::new(&mut *connection).poll_write(context, data.as_bytes());
    assert!(matches!(written, Poll::Ready(Ok(length)) if length == data.len()));
    let flushed = Pin::new(&mut *connection).poll_flush(context);
    assert!(!matches!(flushed, Poll::Ready(Err(_))));
}

/// Like every task of a connection that is woken: it checks for requests.
async fn all_arrives(connection: &mut Connection, socket: &Socket, data: &str) {
    poll_fn(|context| {
        let mut buffer = ReadBuf::new(&mut []);
        assert!(
            Pin::new(&mut *connection)
                .poll_read(context, &mut buffer)
                .is_pending()
        );
        if socket.has_received(data.as_bytes()) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
}
