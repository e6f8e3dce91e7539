//! The tests run on a single-threaded scheduler: a pass ends where the test yields.

mod sequences;
mod socket;

use std::{
    future::poll_fn,
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf},
    net::{TcpListener, TcpStream},
    task::yield_now,
};

use super::{Deferred, MAX_HELD};
use socket::Socket;

/// Polls once, as a task does after an unrelated wake-up.
fn flush(connection: &mut Deferred<Socket>) -> Poll<io::Result<()>> {
    Pin::new(connection).poll_flush(&mut Context::from_waker(Waker::noop()))
}

fn write(connection: &mut Deferred<Socket>, data: &[u8]) -> Poll<io::Result<usize>> {
    Pin::new(connection).poll_write(&mut Context::from_waker(Waker::noop()), data)
}

fn read(connection: &mut Deferred<Socket>) -> Poll<io::Result<()>> {
    let mut buffer = ReadBuf::new(&mut []);
    let mut context = Context::from_waker(Waker::noop());
    Pin::new(connection).poll_read(&mut context, &mut buffer)
}

#[tokio::test]
async fn responses_of_one_pass_are_sent_in_one_write_at_its_end() {
    let socket = Socket::default();
    let mut connection = Deferred::new(socket.clone());
    for answer in [b"one", b"two"] {
        connection.write_all(answer).await.unwrap();
        assert!(matches!(flush(&mut connection), Poll::Ready(Ok(()))));
    }
    assert_eq!(socket.received(), b"");

    yield_now().await;
    assert!(read(&mut connection).is_pending());
    assert_eq!(socket.received(), b"onetwo");
    assert_eq!(socket.writes(), 1);
    assert!(socket.is_flushed(), "TLS has a buffer of its own");
}

#[tokio::test]
async fn the_end_of_the_pass_wakes_the_task() {
    #[derive(Default)]
    struct Woken(AtomicBool);
    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    let mut connection = Deferred::new(Socket::default());
    connection.write_all(b"answer").await.unwrap();
    let flushed = Pin::new(&mut connection).poll_flush(&mut Context::from_waker(&waker));
    assert!(flushed.is_ready());
    assert!(!woken.0.load(Ordering::Relaxed));
    yield_now().await;
    assert!(woken.0.load(Ordering::Relaxed));
}

#[test]
fn without_a_scheduler_a_flush_sends_immediately() {
    let socket = Socket::default();
    let mut connection = Deferred::new(socket.clone());
    assert!(write(&mut connection, b"answer").is_ready());
    assert!(flush(&mut connection).is_ready());
    assert_eq!(socket.received(), b"answer");
}

#[tokio::test]
async fn a_write_over_the_limit_is_sent_with_the_buffered_data() {
    let socket = Socket::default();
    let mut connection = Deferred::new(socket.clone());
    connection.write_all(b"head").await.unwrap();
    let (one, two) = (vec![1; MAX_HELD / 2], vec![2; MAX_HELD / 2]);
    let slices = [IoSlice::new(&one), IoSlice::new(&two)];
    assert_eq!(connection.write_vectored(&slices).await.unwrap(), MAX_HELD);
    assert_eq!(socket.received(), [&b"head"[..], &one, &two].concat());
    assert_eq!(socket.writes(), 1);
}

#[tokio::test]
async fn a_client_that_does_not_read_blocks_writes_and_flushes() {
    let socket = Socket::with_room(10);
    let mut connection = Deferred::new(socket.clone());
    connection.write_all(&[1; MAX_HELD]).await.unwrap();
    assert!(flush(&mut connection).is_ready());
    yield_now().await;
    assert!(flush(&mut connection).is_pending(), "the socket is full");
    connection.write_all(&[2; 10]).await.unwrap();
    assert!(
        write(&mut connection, &[3]).is_pending(),
        "the buffer is full"
    );
    assert_eq!(connection.held.len(), MAX_HELD);

    socket.make_room(usize::MAX);
    assert!(flush(&mut connection).is_ready());
    assert_eq!(socket.received(), [&[1; MAX_HELD][..], &[2; 10]].concat());
}

#[tokio::test]
async fn an_idle_connection_keeps_no_buffer() {
    let mut connection = Deferred::new(Socket::default());
    assert_eq!(connection.held.capacity(), 0);
    connection.write_all(b"answer").await.unwrap();
    assert!(connection.held.capacity() > 0);
    assert!(flush(&mut connection).is_ready());
    yield_now().await;
    assert!(read(&mut connection).is_pending());
    assert_eq!(connection.held.capacity(), 0);
}

#[tokio::test]
async fn a_shutdown_first_sends_the_buffered_data() {
    let socket = Socket::default();
    let mut connection = Deferred::new(socket.clone());
    connection.write_all(b"answer").await.unwrap();
    assert!(flush(&mut connection).is_ready());
    connection.shutdown().await.unwrap();
    assert_eq!(socket.received(), b"answer");
    assert!(socket.is_shut());
}

#[tokio::test]
async fn a_dropped_connection_sends_its_flushed_data() {
    let socket = Socket::default();
    let mut connection = Deferred::new(socket.clone());
    connection.write_all(b"answer").await.unwrap();
    assert!(flush(&mut connection).is_ready());
    drop(connection);
    assert_eq!(socket.received(), b"answer");
    yield_now().await;
}

#[tokio::test]
async fn a_socket_that_fails_to_write_is_still_read_and_fails_the_flush() {
    let socket = Socket::default();
    let mut connection = Deferred::new(socket.clone());
    connection.write_all(b"answer").await.unwrap();
    assert!(flush(&mut connection).is_ready());
    socket.fail();
    yield_now().await;
    assert!(read(&mut connection).is_pending());
    assert!(matches!(flush(&mut connection), Poll::Ready(Err(_))));
}

/// A task that has used up tokio's cooperative budget cannot write any more before it ends.
#[tokio::test]
async fn a_task_without_budget_still_sends_when_it_is_dropped() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap())
        .await
        .unwrap();
    let (socket, _) = listener.accept().await.unwrap();
    tokio::spawn(async move {
        let mut connection = Deferred::new(socket);
        connection.write_all(b"answer").await.unwrap();
        connection.flush().await.unwrap();
        poll_fn(|context| {
            while let Poll::Ready(step) = tokio::task::coop::poll_proceed(context) {
                step.made_progress();
            }
            Poll::Ready(())
        })
        .await;
    });
    let mut received = Vec::new();
    client.read_to_end(&mut received).await.unwrap();
    assert_eq!(received, b"answer");
}
