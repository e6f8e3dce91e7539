//! Untrusted text for the terminal, without control sequences.

use vte::{Parser, Perform};

/// Removes control sequences from a stream of byte chunks.
///
/// A sequence or a character that is split between chunks is reassembled. Line feeds and
/// tabs are kept. A carriage return that redraws a line, as in progress meters, starts a new
/// line. Invalid UTF-8 becomes U+FFFD.
#[derive(Default)]
pub(crate) struct Cleaner {
    parser: Parser,
    kept: Kept,
}

impl Cleaner {
    /// Cleans the next chunk.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> String {
        self.parser.advance(&mut self.kept, bytes);
        std::mem::take(&mut self.kept.text)
    }
}

/// What is left of the text.
#[derive(Default)]
struct Kept {
    text: String,
    after_return: bool,
}

impl Kept {
    fn push(&mut self, c: char) {
        if std::mem::take(&mut self.after_return) && c != '\n' {
            self.text.push('\n');
        }
        self.text.push(c);
    }
}

impl Perform for Kept {
    fn print(&mut self, c: char) {
        if is_harmless(c) {
            self.push(c);
        }
    }

    fn execute(&mut self, byte: u8) {
        match byte {
            b'\n' | b'\t' => self.push(char::from(byte)),
            b'\r' => self.after_return = true,
            _ => {}
        }
    }
}

/// Neither a control character nor one that reorders its neighbours.
fn is_harmless(c: char) -> bool {
    !c.is_control()
        && !matches!(
            c,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        )
}

/// An untrusted name or message, safe for one line of the terminal.
pub(crate) fn one_line(text: &str) -> String {
    clean(text).replace(['\n', '\t'], " ")
}

/// The first line of a text; an ellipsis stands for further ones.
pub(crate) fn first_line(text: &str) -> String {
    let mut lines = text.lines();
    let first = lines.next().unwrap_or_default();
    match lines.next() {
        Some(_) => format!("{first} …"),
        None => first.to_owned(),
    }
}

/// A stage's name as prefix of its lines: on a terminal at most a quarter of the width, so
/// that the lines have the rest.
pub(crate) fn line_prefix(name: &str, width: Option<usize>) -> String {
    const LEAST: usize = 12;
    match width {
        Some(width) => shorten(name, (width / 4).max(LEAST)),
        None => name.to_owned(),
    }
}

/// A text in at most so many columns; an ellipsis stands for what is cut off.
pub(crate) fn shorten(text: &str, columns: usize) -> String {
    console::truncate_str(text, columns, "…").into_owned()
}

/// Untrusted text, safe for the terminal; its line breaks are kept.
pub(crate) fn clean(text: &str) -> String {
    Cleaner::default().push(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTILE: &str =
        "a\x1b[31mred\x1b[0m\tb\r\n10%\r20%\n\x1b]0;title\x07\u{9b}2Jé\u{202e}x\x7f\x08";
    const CLEAN: &str = "ared\tb\n10%\n20%\n2Jéx";

    #[test]
    fn control_sequences_go_and_text_stays() {
        assert_eq!(clean(HOSTILE), CLEAN);
    }

    #[test]
    fn it_does_not_matter_where_the_pieces_are_cut() {
        for size in 1..HOSTILE.len() {
            let mut cleaner = Cleaner::default();
            let pieces = HOSTILE.as_bytes().chunks(size);
            let text: String = pieces.map(|piece| cleaner.push(piece)).collect();
            assert_eq!(text, CLEAN, "pieces of {size} bytes");
        }
    }

    #[test]
    fn what_is_too_wide_is_shortened() {
        assert_eq!(shorten("integration tests", 11), "integratio…");
        assert_eq!(shorten("日本語日本語", 7), "日本語…");
        assert_eq!(shorten("build", 5), "build");
        let name = "a".repeat(50);
        assert_eq!(line_prefix(&name, None), name);
        assert_eq!(line_prefix(&name, Some(80)).chars().count(), 20);
        assert_eq!(line_prefix(&name, Some(10)).chars().count(), 12);
    }

    #[test]
    fn a_name_is_one_line() {
        assert_eq!(one_line("a\nb\x1b[2Jc"), "a bc");
    }
}
