//! A client's socket that may be full.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use loom::{sync::Mutex, thread};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

#[derive(Clone, Default)]
pub(super) struct Socket(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    received: Vec<u8>,
    is_full: bool,
    /// The waker for when the socket accepts data again.
    writer: Option<Waker>,
}

impl Socket {
    /// A socket that accepts nothing until its client reads, which happens at any
    /// moment.
    pub(super) fn full() -> Self {
        let socket = Self::default();
        socket.0.lock().unwrap().is_full = true;
        let client = socket.clone();
        thread::spawn(move || {
            let writer = {
                let mut state = client.0.lock().unwrap();
                state.is_full = false;
                state.writer.take()
            };
            writer.inspect(Waker::wake_by_ref);
        });
        socket
    }

    pub(super) fn has_received(&self, data: &[u8]) -> bool {
        self.0.lock().unwrap().received == data
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut state = self.0.lock().unwrap();
        if state.is_full {
            state.writer = Some(context.waker().clone());
            return Poll::Pending;
        }
        state.received.extend(data);
        Poll::Ready(Ok(data.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}
