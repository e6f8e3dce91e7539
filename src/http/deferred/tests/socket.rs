//! A fake socket whose capacity and failures a test sets.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

#[derive(Clone)]
pub(super) struct Socket(Arc<Mutex<State>>);

struct State {
    received: Vec<u8>,
    writes: usize,
    /// The bytes that it accepts before it is full.
    room: usize,
    is_flushed: bool,
    is_shut: bool,
    fails: bool,
}

impl Default for Socket {
    fn default() -> Self {
        Self::with_room(usize::MAX)
    }
}

impl Socket {
    pub(super) fn with_room(room: usize) -> Self {
        Self(Arc::new(Mutex::new(State {
            received: Vec::new(),
            writes: 0,
            room,
            is_flushed: true,
            is_shut: false,
            fails: false,
        })))
    }

    pub(super) fn make_room(&self, room: usize) {
        self.0.lock().room = room;
    }

    pub(super) fn fail(&self) {
        self.0.lock().fails = true;
    }

    pub(super) fn received(&self) -> Vec<u8> {
        self.0.lock().received.clone()
    }

    pub(super) fn writes(&self) -> usize {
        self.0.lock().writes
    }

    pub(super) fn is_flushed(&self) -> bool {
        self.0.lock().is_flushed
    }

    pub(super) fn is_shut(&self) -> bool {
        self.0.lock().is_shut
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[io::IoSlice::new(data)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut state = self.0.lock();
        assert!(!state.is_shut, "written to after its shutdown");
        if state.fails {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if state.room == 0 {
            return Poll::Pending;
        }
        let data: Vec<u8> = slices
            .iter()
            .flat_map(|slice| slice.iter().copied())
            .collect();
        let taken = data.len().min(state.room);
        state.room -= taken;
        state.received.extend(&data[..taken]);
        state.writes += 1;
        state.is_flushed = false;
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.lock().is_flushed = true;
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.lock().is_shut = true;
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
