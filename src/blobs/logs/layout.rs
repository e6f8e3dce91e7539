//! Which byte of a log is where.

/// The sizes of a log's two files: the head keeps the first bytes for good, the tail
/// is a ring in which the newest bytes overwrite the oldest. Offsets are those of the
/// whole log, and a byte's place depends on its offset alone.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    /// Bytes of the head.
    pub(super) head: u64,
    /// Bytes of the ring, at least 1.
    tail: u64,
}

/// One of the two files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Head,
    Tail,
}

/// Where a byte is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) part: Part,
    /// In the file.
    pub(super) position: u64,
    /// Bytes from this one on that follow each other in the file.
    pub(super) run: u64,
}

impl Layout {
    /// For a log of at most `limit` bytes, half of them in each part.
    pub(super) fn new(limit: u64) -> Self {
        let tail = (limit / 2).max(1);
        let head = limit.saturating_sub(tail);
        Self { head, tail }
    }

    pub(super) fn place(&self, offset: u64) -> Place {
        match offset.checked_sub(self.head) {
            None => Place {
                part: Part::Head,
                position: offset,
                run: self.head - offset,
            },
            Some(behind) => Place {
                part: Part::Tail,
                position: behind % self.tail,
                run: self.tail - behind % self.tail,
            },
        }
    }

    /// The first byte behind the head that the ring of a log of this size has.
    pub(super) fn oldest_in_ring(&self, size: u64) -> u64 {
        size.saturating_sub(self.tail).max(self.head)
    }

    /// Most bytes in the files, if this many were written to the head and the ring.
    pub(super) fn on_disk(&self, to_head: u64, to_ring: u64) -> u64 {
        to_head + to_ring.min(self.tail)
    }
}
