//! The accepted socket. All reads and writes of a connection go through it.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use socket2::{SockRef, TcpKeepalive};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    task::coop,
};
use tokio_rustls::server::TlsStream;

use crate::config::Limits;

/// Bytes that count as one of the 128 steps of a task's cooperative budget: a task reads at
/// most 64 KiB of one client before others run.
const BYTES_PER_STEP: usize = 512;

/// The range of the TCP keepalive times. The system counts whole seconds, and refuses
/// values outside this range.
const MIN_KEEPALIVE: Duration = Duration::from_secs(1);
const MAX_KEEPALIVE: Duration = Duration::from_secs(32_767);

/// A connection, encrypted or not.
pub(super) enum Socket {
    Plain(TcpStream),
    /// Boxed because it is large; there are fewer of these.
    Tls(Box<TlsStream<TcpStream>>),
}

/// Sets the socket options that detect a dead peer: HTTP/1 has no pings, and no other
/// mechanism detects a peer that lost power while data was being sent to it.
pub(super) fn prepare(stream: &TcpStream, limits: &Limits) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    let clamp = |time: Duration| time.clamp(MIN_KEEPALIVE, MAX_KEEPALIVE);
    let keepalive = TcpKeepalive::new()
        .with_time(clamp(limits.keepalive_interval))
        .with_interval(clamp(limits.keepalive_timeout));
    socket.set_tcp_keepalive(&keepalive)?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(limits.keepalive_interval + limits.keepalive_timeout))?;
    Ok(())
}

/// Calls the same method of either variant.
macro_rules! either {
    ($socket:expr, $stream:ident => $call:expr) => {
        match $socket.get_mut() {
            Socket::Plain(stream) => {
                let $stream = Pin::new(stream);
                $call
            }
            Socket::Tls(stream) => {
                let $stream = Pin::new(stream.as_mut());
                $call
            }
        }
    };
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = either!(self, stream => stream.poll_read(cx, buffer));
        let read = buffer.filled().len().saturating_sub(before);
        // Tokio's budget counts reads, whatever their size, and 1 MiB of the smallest frames
        // is several thousand calls. So large reads consume more of the budget.
        for _ in 0..read / BYTES_PER_STEP {
            match coop::poll_proceed(cx) {
                Poll::Ready(step) => step.made_progress(),
                Poll::Pending => break,
            }
        }
        polled
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        either!(self, stream => stream.poll_write(cx, data))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        either!(self, stream => stream.poll_write_vectored(cx, slices))
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => stream.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => stream.poll_shutdown(cx))
    }
}
