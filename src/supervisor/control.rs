//! The runner's lines as they come in, and what is said back.

use std::{
    fs::File,
    io::{self, Read, Write},
    os::fd::{AsFd, BorrowedFd},
};

use serde::{Serialize, de::DeserializeOwned};

/// The reading end of the runner's pipe, and what was read of it.
///
/// Not a `BufReader`: whoever polls has to know what is still in the buffer.
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

    /// The next message of what was read; `None` if there is no whole one.
    pub(super) fn next<T: DeserializeOwned>(&mut self) -> io::Result<Option<T>> {
        let Some(end) = self.read.iter().position(|byte| *byte == b'\n') else {
            return Ok(None);
        };
        let line: Vec<u8> = self.read.drain(..=end).collect();
        Ok(Some(serde_json::from_slice(&line)?))
    }

    /// Reads once, which waits if there is nothing.
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

/// Says a line to the runner.
pub(super) fn tell(message: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    io::stdout().write_all(&line)?;
    io::stdout().flush()
}
