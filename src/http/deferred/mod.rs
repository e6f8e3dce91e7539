//! Writes that wait for each other: what the tasks of one connection answer in one pass of
//! the scheduler leaves in one system call.
//!
//! Without this each answer is one: the scheduler runs a connection's task right after each of
//! its streams', and h2 flushes whenever it looks for the next request.

mod pass;
#[cfg(test)]
mod tests;

use std::{
    collections::VecDeque,
    future::{Future, poll_fn},
    io::{self, IoSlice},
    pin::{Pin, pin},
    task::{Context, Poll, Waker, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    task::coop,
};

use pass::Pass;

/// The most that is held for one connection. What comes on top goes to the socket.
const MOST_HELD: usize = 32 * 1024;

/// The most slices of one write. Neither hyper nor h2 has more at once.
const MOST_SLICES: usize = 64;

/// A socket, and what was written to it in this pass.
///
/// A flush is `Ready` before the data has left. Were it `Pending`, h2 would wait for the end
/// of the pass with each frame of 256 bytes or more: measured with answers of 1 KiB, that is
/// 0.85 writes to the socket an answer instead of 0.06. So nobody else waits for what is held
/// here, and each call that a woken task may make looks whether it is due.
pub(super) struct Deferred<S: AsyncWrite + Unpin> {
    socket: S,
    held: VecDeque<u8>,
    /// Whether something was written since the socket was last flushed.
    is_unflushed: bool,
    pass: Pass,
}

impl<S: AsyncWrite + Unpin> Deferred<S> {
    pub(super) fn new(socket: S) -> Self {
        Self {
            socket,
            held: VecDeque::new(),
            is_unflushed: false,
            pass: Pass::new(),
        }
    }

    fn hold(&mut self, slices: &[IoSlice<'_>]) {
        if self.held.capacity() == 0 {
            self.held.reserve_exact(MOST_HELD);
        }
        for slice in slices {
            self.held.extend(slice.iter());
        }
    }

    /// Sends what is held, and as much of `more` as the socket takes, which it tells.
    fn poll_send(
        &mut self,
        context: &mut Context<'_>,
        more: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let more = &more[..more.len().min(MOST_SLICES - 2)];
        loop {
            let mut slices = [IoSlice::new(&[]); MOST_SLICES];
            let (front, back) = self.held.as_slices();
            slices[..2].copy_from_slice(&[IoSlice::new(front), IoSlice::new(back)]);
            slices[2..][..more.len()].copy_from_slice(more);
            let slices = &slices[..2 + more.len()];
            let sent = ready!(Pin::new(&mut self.socket).poll_write_vectored(context, slices))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            let of_held = sent.min(self.held.len());
            self.held.drain(..of_held);
            if self.held.is_empty() && (sent > of_held || more.is_empty()) {
                // Connections that wait, of which there may be very many, keep no memory.
                self.held = VecDeque::new();
                return Poll::Ready(Ok(sent - of_held));
            }
        }
    }

    /// Sends all that is held here and in the socket.
    fn poll_drain(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.held.is_empty() {
            ready!(self.poll_send(context, &[]))?;
        }
        ready!(Pin::new(&mut self.socket).poll_flush(context))?;
        self.is_unflushed = false;
        self.pass.done();
        Poll::Ready(Ok(()))
    }

    /// Sends all, if it is time. Else the task is woken when it is.
    fn poll_due(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.pass.has_ended(context) {
            true => self.poll_drain(context),
            false => Poll::Ready(Ok(())),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Deferred<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        // A socket that takes nothing may still have something. It stays due, so that the
        // next flush or shutdown tells what went wrong.
        let _ = this.poll_due(context);
        Pin::new(&mut this.socket).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Deferred<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(data)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let length = slices.iter().map(|slice| slice.len()).sum();
        if length == 0 {
            return Poll::Ready(Ok(0));
        }
        this.is_unflushed = true;
        if this.held.len() + length > MOST_HELD {
            return this.poll_send(context, slices);
        }
        this.hold(slices);
        Poll::Ready(Ok(length))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.is_unflushed {
            return Pin::new(&mut this.socket).poll_flush(context);
        }
        this.pass.wait();
        this.poll_due(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_drain(context))?;
        Pin::new(&mut this.socket).poll_shutdown(context)
    }
}

impl<S: AsyncWrite + Unpin> Drop for Deferred<S> {
    /// A connection that fails ends without a shutdown, but what it had flushed is as good
    /// as sent.
    fn drop(&mut self) {
        if self.is_unflushed {
            let drain = coop::unconstrained(poll_fn(|context| self.poll_drain(context)));
            let _ = pin!(drain).poll(&mut Context::from_waker(Waker::noop()));
        }
    }
}
