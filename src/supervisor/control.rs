//! The pipes to and from the runner.

use std::{
    fs::File,
    io::{self, Read, Write},
    os::fd::{AsFd, BorrowedFd},
};

use serde::{Serialize, de::DeserializeOwned};

/// The reading end of the runner's pipe, with a buffer.
///
/// Not a `BufReader`: before a poll, the caller must know whether the buffer has a message.
pub(super) struct Control {
    pipe: File,
    read: Vec<u8>,
}

impl Control {
    /// Standard input.
    pub(super) fn inherited() -> io::Result<Self> {
        let pipe = io::stdin().as_fd().try_clone_to_owned()?;
        Ok(Self {
            pipe: pipe.into(),
            read: Vec::new(),
        })
    }

    /// Waits for a message.
    ///
    /// # Errors
    /// The runner is gone, or it does not speak the protocol.
    pub(super) fn wait<T: DeserializeOwned>(&mut self) -> io::Result<T> {
        loop {
            if let Some(message) = self.next()? {
                return Ok(message);
            }
            self.fill()?;
        }
    }

    /// The next message of the buffer; `None` if there is no complete one.
    pub(super) fn next<T: DeserializeOwned>(&mut self) -> io::Result<Option<T>> {
        let Some(end) = self.read.iter().position(|byte| *byte == b'\n') else {
            return Ok(None);
        };
        let line: Vec<u8> = self.read.drain(..=end).collect();
        Ok(Some(serde_json::from_slice(&line)?))
    }

    /// Reads once into the buffer; blocks if the pipe is empty.
    pub(super) fn fill(&mut self) -> io::Result<()> {
        let mut buffer = [0; 16 * 1024];
        let read = self.pipe.read(&mut buffer)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.read.extend_from_slice(&buffer[..read]);
        Ok(())
    }
}

impl AsFd for Control {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }
}

/// Sends a message to the runner, as a line.
pub(super) fn send(message: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    io::stdout().write_all(&line)?;
    io::stdout().flush()
}
