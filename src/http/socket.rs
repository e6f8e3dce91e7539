//! The accepted socket, the one place where writes to a client pass.

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

/// Bytes that count as one of the 128 steps a task has before it lets others go on: 64 KiB
/// at once of one client.
const BYTES_OF_A_TURN: usize = 512;

/// The shortest and the longest time that TCP's keepalive can be told. The system refuses
/// others, of which it counts whole seconds.
const LEAST_KEEPALIVE: Duration = Duration::from_secs(1);
const MOST_KEEPALIVE: Duration = Duration::from_secs(32_767);

/// A connection, encrypted or not.
pub(super) enum Socket {
    Plain(TcpStream),
    /// Large, and there are fewer of these.
    Tls(Box<TlsStream<TcpStream>>),
}

/// Sets what finds out that the other side is gone: HTTP/1 has no pings of its own,
/// and nothing else tells of a peer that lost its power while it was owed data.
pub(super) fn prepare(stream: &TcpStream, limits: &Limits) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    let told = |time: Duration| time.clamp(LEAST_KEEPALIVE, MOST_KEEPALIVE);
    let keepalive = TcpKeepalive::new()
        .with_time(told(limits.keepalive_interval))
        .with_interval(told(limits.keepalive_timeout));
    socket.set_tcp_keepalive(&keepalive)?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(limits.keepalive_interval + limits.keepalive_timeout))?;
    Ok(())
}

/// Calls the same method of whichever socket it is.
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
        // Tokio lets a task make so many reads before the others have their turn, however
        // large they are; and 1 MiB of the smallest frames is several thousand calls.
        for _ in 0..read / BYTES_OF_A_TURN {
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
