//! Masks the values of secrets in a stage's output, as a stream.

mod escapes;
mod patterns;
mod search;
#[cfg(test)]
mod tests;

use std::{borrow::Cow, mem, ops::Range};

pub use patterns::is_maskable;
use search::Search;

/// Replaces a secret. Always the same, so that it does not reveal the length.
const MASK: &[u8] = b"***";

/// Replaces each occurrence of a secret by `***`; occurrences that overlap become one.
/// Any character of a secret may be escaped in any way that [`escapes`] knows.
///
/// The output as a whole does not depend on how the input is cut into pieces. What is
/// deferred between two pieces is the longest end of the input that a secret could
/// begin with, so a prompt is written immediately. Time is linear in the input, and memory
/// is bounded by the longest pattern with all of it escaped.
#[derive(Default)]
pub(super) struct Masker(Option<Stream>);

impl Masker {
    /// A masker of these values; without any, the output is not changed.
    pub(super) fn new<'a>(secrets: impl Iterator<Item = &'a str>) -> Self {
        let patterns = patterns::of_all(secrets);
        Self((!patterns.is_empty()).then(|| Stream::new(Search::new(patterns))))
    }

    /// Takes the next bytes of the input; returns the output that is final.
    pub(super) fn push<'a>(&mut self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        match &mut self.0 {
            None => Cow::Borrowed(bytes),
            Some(stream) => Cow::Owned(stream.push(bytes)),
        }
    }

    /// Ends the input; returns what was deferred of it.
    pub(super) fn finish(&mut self) -> Vec<u8> {
        self.0.as_mut().map(Stream::finish).unwrap_or_default()
    }
}

/// No `Debug`: the search contains the secrets.
struct Stream {
    search: Search,
    /// The end of the input that is not written yet.
    held: Vec<u8>,
    /// Parts of `held` to mask: in order, never overlapping, never empty.
    masks: Vec<Range<usize>>,
    /// The first of `masks` continues one whose `***` is written already.
    is_open: bool,
}

impl Stream {
    fn new(search: Search) -> Self {
        Self {
            search,
            held: Vec::new(),
            masks: Vec::new(),
            is_open: false,
        }
    }

    fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut end = self.held.len();
        self.held.extend_from_slice(bytes);
        loop {
            end += self.search.skip(&self.held[end..]);
            if end == self.held.len() {
                break;
            }
            end += 1;
            if let Some(begin) = self.search.step(&self.held[..end]) {
                self.mask(begin..end);
            }
        }
        self.release(self.search.pending(&self.held))
    }

    fn finish(&mut self) -> Vec<u8> {
        self.search.reset();
        self.release(self.held.len())
    }

    /// Adds a mask, merged with those that it overlaps. One that is open stays the
    /// first and keeps its start.
    fn mask(&mut self, mut mask: Range<usize>) {
        while let Some(last) = self.masks.pop_if(|last| last.end > mask.start) {
            mask.start = mask.start.min(last.start);
        }
        self.masks.push(mask);
    }

    /// Releases what is held before `end`, where no later mask begins.
    fn release(&mut self, end: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(end);
        let mut at = 0;
        let mut rest = Vec::new();
        for mask in mem::take(&mut self.masks) {
            if mask.start > end {
                rest.push(mask.start - end..mask.end - end);
                continue;
            }
            out.extend_from_slice(&self.held[at..mask.start]);
            if !mem::take(&mut self.is_open) {
                out.extend_from_slice(MASK);
            }
            at = mask.end.min(end);
            if mask.end > end {
                self.is_open = true;
                rest.push(0..mask.end - end);
            }
        }
        out.extend_from_slice(&self.held[at..end]);
        self.held.drain(..end);
        self.search.released(end);
        self.masks = rest;
        out
    }
}
