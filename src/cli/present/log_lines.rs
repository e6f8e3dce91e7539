//! Log bytes of many stages on one output: whole lines, each with its prefix.

/// Longest part of a line that is buffered until its end arrives, in bytes.
const MAX_PARTIAL: usize = 64 * 1024;

/// Splits a stream of byte chunks into prefixed lines.
///
/// An incomplete line is buffered until its end, so that lines of two stages never mix. At
/// 64 KiB it is cut.
pub(crate) struct Prefixer {
    prefix: String,
    partial: Vec<u8>,
}

impl Prefixer {
    /// Prefixes the lines with `[stage] `.
    pub(crate) fn new(stage: &str) -> Self {
        Self {
            prefix: format!("[{stage}] "),
            partial: Vec::new(),
        }
    }

    /// The lines that the next chunk completes.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut lines = Vec::new();
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.partial.extend_from_slice(part);
            if part.ends_with(b"\n") || self.partial.len() >= MAX_PARTIAL {
                self.take_line(&mut lines);
            }
        }
        lines
    }

    /// The last line, if it has no line break.
    pub(crate) fn finish(&mut self) -> Vec<u8> {
        let mut lines = Vec::new();
        if !self.partial.is_empty() {
            self.take_line(&mut lines);
        }
        lines
    }

    fn take_line(&mut self, lines: &mut Vec<u8>) {
        lines.extend_from_slice(self.prefix.as_bytes());
        lines.append(&mut self.partial);
        if !lines.ends_with(b"\n") {
            lines.push(b'\n');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefixed(pieces: &[&str]) -> String {
        let mut prefixer = Prefixer::new("test");
        let mut lines: Vec<u8> = pieces
            .iter()
            .flat_map(|piece| prefixer.push(piece.as_bytes()))
            .collect();
        lines.extend(prefixer.finish());
        String::from_utf8(lines).unwrap()
    }

    #[test]
    fn lines_are_whole_wherever_the_pieces_are_cut() {
        let whole = "[test] one\n[test] \n[test] three\n";
        assert_eq!(prefixed(&["one\n\nthree\n"]), whole);
        assert_eq!(prefixed(&["o", "ne", "\n", "\nth", "ree\n"]), whole);
    }

    #[test]
    fn the_last_line_gets_its_end() {
        assert_eq!(prefixed(&["one\ntw", "o"]), "[test] one\n[test] two\n");
        assert_eq!(prefixed(&[]), "");
    }

    #[test]
    fn a_line_without_end_takes_no_more_than_the_bound() {
        let mut prefixer = Prefixer::new("test");
        let lines = prefixer.push(&vec![b'x'; MAX_PARTIAL]);
        assert_eq!(lines.len(), "[test] ".len() + MAX_PARTIAL + 1);
        assert!(prefixer.finish().is_empty());
    }
}
