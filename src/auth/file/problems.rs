use std::{fmt, ops::Range};

/// An error in a credentials file. Never contains a hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Counted from 1, if known.
    pub line: Option<usize>,
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

/// All errors in a credentials file; at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|problem| write!(out, "\n  {problem}"))
    }
}

/// Collects the problems in a text.
pub(super) struct Finding<'t> {
    text: &'t str,
    pub(super) problems: Vec<Problem>,
}

impl<'t> Finding<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self {
            text,
            problems: Vec::new(),
        }
    }

    /// Records a problem at these bytes of the text.
    pub(super) fn add(&mut self, at: Option<Range<usize>>, what: impl Into<String>) {
        let what = what.into();
        let line = at.map(|at| self.line(at.start));
        self.problems.push(Problem { line, what });
    }

    pub(super) fn line(&self, offset: usize) -> usize {
        let before = self.text.as_bytes().iter().take(offset);
        1 + before.filter(|byte| **byte == b'\n').count()
    }
}

/// Text of the file for a message: only words, as misplaced text may be a secret.
pub(super) fn shown(text: &str) -> String {
    let is_word = |c: char| c.is_ascii_alphanumeric() || "._@-*".contains(c);
    if text.len() <= 24 && text.chars().all(is_word) {
        format!("`{text}`")
    } else {
        "that".to_owned()
    }
}
