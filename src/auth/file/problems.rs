use std::{fmt, ops::Range};

/// Something that is wrong with a credentials file. Never tells a hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where, from 1, if that is known.
    pub line: Option<usize>,
    /// What.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(out, "line {line}: {}", self.what),
            None => out.write_str(&self.what),
        }
    }
}

/// Everything that is wrong with a credentials file; one thing at least.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|mistake| write!(out, "\n  {mistake}"))
    }
}

/// Problems as they are found in a text.
pub(super) struct Finding<'t> {
    text: &'t str,
    pub(super) mistakes: Vec<Problem>,
}

impl<'t> Finding<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self {
            text,
            mistakes: Vec::new(),
        }
    }

    /// Notes a mistake at these bytes of the text.
    pub(super) fn add(&mut self, at: Option<Range<usize>>, what: impl Into<String>) {
        let what = what.into();
        let line = at.map(|at| self.line(at.start));
        self.mistakes.push(Problem { line, what });
    }

    pub(super) fn line(&self, offset: usize) -> usize {
        let before = self.text.as_bytes().iter().take(offset);
        1 + before.filter(|byte| **byte == b'\n').count()
    }
}

/// Text of the file for a message: words only, for in a wrong place it may be a secret.
pub(super) fn shown(text: &str) -> String {
    let is_word = |c: char| c.is_ascii_alphanumeric() || "._@-*".contains(c);
    match text.len() <= 24 && text.chars().all(is_word) {
        true => format!("`{text}`"),
        false => "that".to_owned(),
    }
}
