//! What a stage's processes write.

use std::io;

use tokio::{io::AsyncReadExt, net::unix::pipe::Receiver};
use tokio_util::sync::CancellationToken;

/// Most that is read after the hang-up; no pipe holds more for a user without
/// privileges.
const LEFT_IN_PIPE: usize = 1024 * 1024;

/// The output of all processes of a command.
pub(in crate::runner) struct Output {
    pipe: Receiver,
    /// Cancelled to stop waiting for processes that still hold the other end.
    pub(in crate::runner) hang_up: CancellationToken,
    left: usize,
}

impl Output {
    pub(in crate::runner) fn new(pipe: Receiver) -> Self {
        Self {
            pipe,
            hang_up: CancellationToken::new(),
            left: LEFT_IN_PIPE,
        }
    }

    /// Reads the available bytes, waiting for at least one; 0 is the end.
    pub(in crate::runner) async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.hang_up.is_cancelled() {
            tokio::select! {
                biased;
                read = self.pipe.read(buffer) => return read,
                () = self.hang_up.cancelled() => {}
            }
        }
        self.read_left(buffer)
    }

    /// After the hang-up: bytes that are still in the pipe were written before and count,
    /// however slow the reader was, but their number is bounded.
    fn read_left(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let room = buffer.len().min(self.left);
        match self.pipe.try_read(&mut buffer[..room]) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            read => read.inspect(|read| self.left -= read),
        }
    }
}
