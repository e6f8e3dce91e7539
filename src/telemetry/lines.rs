//! Batches the lines of the log.

use std::{
    io::{self, Write},
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use parking_lot::{Condvar, Mutex};
use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

/// How long a line waits for others. To write each line separately would cost as much as a
/// call does, since each write wakes the reader of the log.
const BATCH_DELAY: Duration = Duration::from_millis(5);
/// A batch of this many bytes is written without a delay.
const MAX_HELD: usize = 64 * 1024;

/// A batching writer that keeps the order of lines. A warning is written immediately, with
/// all lines before it.
#[derive(Clone)]
pub(super) struct Lines(Arc<Shared>);

/// Writes the last lines when it is dropped.
pub(super) struct LastLines {
    lines: Lines,
    sender: Option<JoinHandle<()>>,
}

struct Shared {
    held: Mutex<Held>,
    /// Notified when there are lines to write, and at the end.
    wake: Condvar,
}

struct Held {
    bytes: Vec<u8>,
    out: Box<dyn Write + Send>,
    is_over: bool,
}

impl Held {
    /// Writes the batch. Other writers wait for the lock meanwhile (backpressure): a slow
    /// reader slows down the log, but no line is lost.
    fn send(&mut self) {
        // An error of the log itself cannot be logged.
        let _ = self
            .out
            .write_all(&self.bytes)
            .and_then(|()| self.out.flush());
        self.bytes.clear();
    }
}

impl Lines {
    /// A writer to `out`, and a guard that writes the last lines.
    pub(super) fn to(out: impl Write + Send + 'static) -> (Self, LastLines) {
        let held = Held {
            bytes: Vec::new(),
            out: Box::new(out),
            is_over: false,
        };
        let lines = Self(Arc::new(Shared {
            held: Mutex::new(held),
            wake: Condvar::new(),
        }));
        let sender = {
            let lines = lines.clone();
            let thread = thread::Builder::new().name("log".to_owned());
            thread.spawn(move || lines.keep_sending())
        };
        let last = LastLines {
            lines: lines.clone(),
            sender: sender.ok(),
        };
        if last.sender.is_none() {
            lines.0.held.lock().is_over = true;
        }
        (lines, last)
    }

    fn keep_sending(&self) {
        let mut held = self.0.held.lock();
        while !held.is_over {
            self.0
                .wake
                .wait_while(&mut held, |held| held.bytes.is_empty() && !held.is_over);
            // The lock is released during the wait; a warning or the end may write first.
            let is_running = |held: &mut Held| !held.is_over;
            self.0
                .wake
                .wait_while_for(&mut held, is_running, BATCH_DELAY);
            held.send();
        }
    }

    fn write(&self, line: &[u8], is_urgent: bool) {
        let mut held = self.0.held.lock();
        let was_empty = held.bytes.is_empty();
        held.bytes.extend_from_slice(line);
        if is_urgent || held.is_over || held.bytes.len() >= MAX_HELD {
            held.send();
        } else if was_empty {
            self.0.wake.notify_one();
        }
    }
}

pub(super) struct Line<'a> {
    lines: &'a Lines,
    is_urgent: bool,
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line {
            lines: self,
            is_urgent: true,
        }
    }

    fn make_writer_for(&'a self, metadata: &Metadata<'_>) -> Line<'a> {
        Line {
            lines: self,
            is_urgent: *metadata.level() <= Level::WARN,
        }
    }
}

impl Write for Line<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.lines.write(line, self.is_urgent);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for LastLines {
    fn drop(&mut self) {
        {
            // Written here: if the thread has not started its loop yet, it exits immediately.
            let mut held = self.lines.0.held.lock();
            held.is_over = true;
            held.send();
        }
        self.lines.0.wake.notify_one();
        let _ = self.sender.take().map(JoinHandle::join);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Sends each write to a channel.
    struct Pieces(mpsc::Sender<String>);

    impl Write for Pieces {
        fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
            let text = String::from_utf8(piece.to_vec()).unwrap();
            self.0.send(text).unwrap();
            Ok(piece.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn lines() -> (Lines, LastLines, mpsc::Receiver<String>) {
        let (sender, pieces) = mpsc::channel();
        let (lines, last) = Lines::to(Pieces(sender));
        (lines, last, pieces)
    }

    #[test]
    fn lines_are_written_after_the_delay_in_order() {
        let (lines, _last, pieces) = lines();
        let mut got = String::new();
        for number in 0..100 {
            lines.write(format!("{number}\n").as_bytes(), false);
        }
        let expected: String = (0..100).map(|number| format!("{number}\n")).collect();
        while got.len() < expected.len() {
            got += &pieces.recv().unwrap();
        }
        assert_eq!(got, expected);
    }

    #[test]
    fn a_warning_is_written_immediately_with_the_lines_before_it() {
        let (lines, _last, pieces) = lines();
        lines.write(b"first\n", false);
        lines.write(b"warning\n", true);
        let got: String = pieces.try_iter().collect();
        assert_eq!(got, "first\nwarning\n");
    }

    #[test]
    fn a_full_batch_is_written_immediately() {
        let (lines, _last, pieces) = lines();
        lines.write(&[b'a'; MAX_HELD], false);
        assert_eq!(
            pieces.try_iter().map(|piece| piece.len()).sum::<usize>(),
            MAX_HELD
        );
    }

    #[test]
    fn no_line_is_lost_at_the_end_and_later_lines_are_written_immediately() {
        let (lines, last, pieces) = lines();
        lines.write(b"before\n", false);
        drop(last);
        assert_eq!(pieces.try_iter().collect::<String>(), "before\n");
        lines.write(b"after\n", false);
        assert_eq!(pieces.try_iter().collect::<String>(), "after\n");
    }
}
