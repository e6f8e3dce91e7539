//! Where lines of the log go on their way out.

use std::{
    io::{self, Write},
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use parking_lot::{Condvar, Mutex};
use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

/// How long a line waits for others. Each that left by itself would cost as much as a
/// call does, since it wakes whoever reads it.
const GATHER: Duration = Duration::from_millis(5);
/// Bytes that leave without waiting for more.
const MOST_HELD: usize = 64 * 1024;

/// Lines that leave together, in order. A warning leaves at once, with all before it.
#[derive(Clone)]
pub(super) struct Lines(Arc<Shared>);

/// Sends the last lines when it is dropped.
pub(super) struct LastLines {
    lines: Lines,
    sender: Option<JoinHandle<()>>,
}

struct Shared {
    held: Mutex<Held>,
    /// Told when there is something to send, and of the end.
    wake: Condvar,
}

struct Held {
    bytes: Vec<u8>,
    out: Box<dyn Write + Send>,
    is_over: bool,
}

impl Held {
    /// Sends what is held. Who writes meanwhile waits: a reader that is slow slows the
    /// log and loses nothing of it.
    fn send(&mut self) {
        // Of a log that nobody takes there is nobody to tell.
        let _ = self
            .out
            .write_all(&self.bytes)
            .and_then(|()| self.out.flush());
        self.bytes.clear();
    }
}

impl Lines {
    /// Lines to somewhere, and what sends the last of them.
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
            // The lock is free meanwhile; a warning or the end may send first.
            let over = |held: &mut Held| !held.is_over;
            self.0.wake.wait_while_for(&mut held, over, GATHER);
            held.send();
        }
    }

    fn write(&self, line: &[u8], is_urgent: bool) {
        let mut held = self.0.held.lock();
        let was_empty = held.bytes.is_empty();
        held.bytes.extend_from_slice(line);
        if is_urgent || held.is_over || held.bytes.len() >= MOST_HELD {
            held.send();
        } else if was_empty {
            self.0.wake.notify_one();
        }
    }
}

/// One line on its way.
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
            // Here, as the thread may not have begun yet, and then never looks.
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

    /// Passes on each piece that is written.
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
    fn lines_leave_by_themselves_and_in_order() {
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
    fn a_warning_leaves_at_once_with_what_was_before_it() {
        let (lines, _last, pieces) = lines();
        lines.write(b"first\n", false);
        lines.write(b"warning\n", true);
        let got: String = pieces.try_iter().collect();
        assert_eq!(got, "first\nwarning\n");
    }

    #[test]
    fn much_leaves_at_once() {
        let (lines, _last, pieces) = lines();
        lines.write(&[b'a'; MOST_HELD], false);
        assert_eq!(
            pieces.try_iter().map(|piece| piece.len()).sum::<usize>(),
            MOST_HELD
        );
    }

    #[test]
    fn the_end_loses_nothing_and_what_comes_later_leaves_at_once() {
        let (lines, last, pieces) = lines();
        lines.write(b"before\n", false);
        drop(last);
        assert_eq!(pieces.try_iter().collect::<String>(), "before\n");
        lines.write(b"after\n", false);
        assert_eq!(pieces.try_iter().collect::<String>(), "after\n");
    }
}
