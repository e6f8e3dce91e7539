//! Takes the values of secrets out of a stage's output, while it streams by.

mod forms;
#[cfg(test)]
mod tests;

use std::{borrow::Cow, collections::HashMap, mem, ops::Range};

use aho_corasick::{
    Anchored,
    automaton::{Automaton, StateID},
    nfa::contiguous::NFA,
};

/// What stands in the place of a secret. Always the same, so that it tells no length.
const MASK: &[u8] = b"***";

/// Replaces each occurrence of a secret, in any of its `forms`, by `***`; occurrences
/// that overlap become one.
///
/// The output as a whole does not depend on how the input is cut into pieces. What is
/// held back between two pieces is the longest end of the input that a secret could
/// begin with, so a prompt goes out at once; memory is bounded by the longest form.
#[derive(Default)]
pub(super) struct Masker(Option<Stream>);

impl Masker {
    /// A masker of these values; of none, it lets everything through as it is.
    pub(super) fn new<'a>(secrets: impl Iterator<Item = &'a str>) -> Self {
        let patterns = forms::of_all(secrets);
        Self((!patterns.is_empty()).then(|| Stream::new(patterns)))
    }

    /// Takes the next bytes of the input; answers what of it can go out.
    pub(super) fn push<'a>(&mut self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        match &mut self.0 {
            None => Cow::Borrowed(bytes),
            Some(stream) => Cow::Owned(stream.push(bytes)),
        }
    }

    /// Ends the input; answers what was held back of it.
    pub(super) fn finish(&mut self) -> Vec<u8> {
        self.0.as_mut().map(Stream::finish).unwrap_or_default()
    }
}

/// No `Debug`: the automaton is made of the secrets.
struct Stream {
    automaton: NFA,
    /// Length of what a state has matched: the longest end of the input that is the
    /// beginning of a pattern.
    depths: HashMap<StateID, u32>,
    start: StateID,
    state: StateID,
    /// The end of the input that has not gone out yet.
    held: Vec<u8>,
    /// Parts of `held` to mask: in order, never overlapping, never empty.
    masks: Vec<Range<usize>>,
    /// The first of `masks` goes on with one whose `***` is out already.
    is_open: bool,
}

impl Stream {
    fn new(patterns: impl IntoIterator<Item = Vec<u8>>) -> Self {
        let patterns: Vec<Vec<u8>> = patterns.into_iter().collect();
        let automaton = NFA::new(&patterns)
            .expect("secrets have far fewer bytes than an automaton can have states");
        let start = automaton
            .start_state(Anchored::No)
            .expect("an automaton that was not told otherwise has both starts");
        let mut depths = HashMap::from([(start, 0)]);
        for pattern in &patterns {
            let mut state = start;
            for (depth, &byte) in (1..).zip(pattern) {
                state = automaton.next_state(Anchored::No, state, byte);
                depths.insert(state, depth);
            }
        }
        Self {
            automaton,
            depths,
            start,
            state: start,
            held: Vec::new(),
            masks: Vec::new(),
            is_open: false,
        }
    }

    fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        let before = self.held.len();
        self.held.extend_from_slice(bytes);
        for (end, &byte) in (before + 1..).zip(bytes) {
            self.state = self.automaton.next_state(Anchored::No, self.state, byte);
            if self.automaton.is_special(self.state) && self.automaton.is_match(self.state) {
                self.mask(end - self.matched()..end);
            }
        }
        // Each byte of a pattern that is not over yet is in the state's depth, so no
        // later match reaches back behind it.
        self.release(self.held.len() - self.depths[&self.state] as usize)
    }

    fn finish(&mut self) -> Vec<u8> {
        self.state = self.start;
        self.release(self.held.len())
    }

    /// Length of the longest pattern that ends here.
    fn matched(&self) -> usize {
        let matches = 0..self.automaton.match_len(self.state);
        let length = |index| {
            let pattern = self.automaton.match_pattern(self.state, index);
            self.automaton.pattern_len(pattern)
        };
        matches.map(length).max().unwrap_or_default()
    }

    /// Adds a mask, made one with those that it overlaps. One that is open stays the
    /// first and keeps its start.
    fn mask(&mut self, mut mask: Range<usize>) {
        while let Some(last) = self.masks.pop_if(|last| last.end > mask.start) {
            mask.start = mask.start.min(last.start);
        }
        self.masks.push(mask);
    }

    /// Gives out what is held before `end`, where no later mask begins.
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
        self.masks = rest;
        out
    }
}
