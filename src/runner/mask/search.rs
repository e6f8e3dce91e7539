//! Finds patterns in a stream, with any of their characters escaped.
//!
//! A stream can be read in several ways: `\/` is two characters as it is, and one if it
//! is an escape. So there is one state of the automaton for each way to read
//! the stream so far. Mostly that is a single one.

use std::{
    cmp::Reverse,
    collections::{HashMap, VecDeque},
};

use aho_corasick::{
    Anchored,
    automaton::{Automaton, StateID},
    nfa::contiguous::NFA,
};

use super::escapes::{self, Reading};

/// Ways of reading that are followed concurrently. Only secrets that look like escapes
/// themselves have more; then those with the longest beginnings of patterns are kept.
const MOST_PATHS: usize = 16;

/// Cached steps of the automaton: those from states far from the start are slow,
/// and with several paths they recur.
const MOST_REMEMBERED: usize = 4_096;

/// A search through one stream. Positions are those in the part of it that is held.
pub(super) struct Search {
    automaton: NFA,
    /// Length of what a state has read: the longest end of the text that a pattern
    /// begins with. The start, with 0, is not in it.
    depths: HashMap<StateID, usize>,
    start: StateID,
    /// Whether an escape can be the beginning of a pattern.
    begins_escaped: bool,
    /// The ways to read the stream so far; never empty, no state twice.
    paths: Vec<Path>,
    /// Where escapes may have begun that are not complete yet, in order.
    openings: VecDeque<Opening>,
    remembered: HashMap<(StateID, u8), StateID>,
}

/// A way to read the stream.
#[derive(Clone, Copy)]
struct Path {
    state: StateID,
    /// By how much what the state has read is longer in the stream, because of escapes.
    /// Too much where the beginning of a pattern repeats itself: then a mask begins early.
    excess: usize,
    /// Bytes read since the last escape, where there is an excess.
    since: usize,
}

struct Opening {
    at: usize,
    /// The paths up to it.
    paths: Vec<Path>,
}

impl Search {
    pub(super) fn new(patterns: impl IntoIterator<Item = Vec<u8>>) -> Self {
        let patterns: Vec<Vec<u8>> = patterns.into_iter().collect();
        // A prefilter would only make the start a special state.
        let automaton = NFA::builder()
            .prefilter(false)
            .build(&patterns)
            .expect("secrets have far fewer bytes than an automaton can have states");
        let start = automaton
            .start_state(Anchored::No)
            .expect("an automaton that was not told otherwise has both starts");
        let mut depths = HashMap::new();
        for pattern in &patterns {
            let mut state = start;
            for (depth, &byte) in (1..).zip(pattern) {
                state = automaton.next_state(Anchored::No, state, byte);
                depths.insert(state, depth);
            }
        }
        let mut firsts = patterns.iter().filter_map(|pattern| pattern.first());
        Self {
            begins_escaped: firsts.any(|&byte| escapes::is_escaped(byte)),
            automaton,
            depths,
            start,
            paths: vec![Path::at(start)],
            openings: VecDeque::new(),
            remembered: HashMap::new(),
        }
    }

    /// Reads the bytes before the first that needs a [`step`](Self::step); returns
    /// their number. Most of a stream has no escapes and no matches.
    pub(super) fn skip(&mut self, bytes: &[u8]) -> usize {
        let [path] = &mut self.paths[..] else {
            return 0;
        };
        if path.excess > 0 || !self.openings.is_empty() {
            return 0;
        }
        for (index, &byte) in bytes.iter().enumerate() {
            if escapes::is_opening(byte) {
                return index;
            }
            let state = self.automaton.next_state(Anchored::No, path.state, byte);
            if self.automaton.is_special(state) {
                return index;
            }
            path.state = state;
        }
        bytes.len()
    }

    /// Reads the last byte of `held`. If patterns end with it, returns where the longest
    /// occurrence begins.
    pub(super) fn step(&mut self, held: &[u8]) -> Option<usize> {
        let (&byte, before) = held.split_last()?;
        if escapes::is_opening(byte) {
            self.open(before.len());
        }
        for index in 0..self.paths.len() {
            let state = self.next(self.paths[index].state, byte);
            let path = &mut self.paths[index];
            path.state = state;
            path.since += 1;
            path.forget(&self.depths);
        }
        self.close(held);
        if self.paths.len() > 1 {
            self.merge();
        }
        let matching = self.paths.iter().filter(|path| {
            self.automaton.is_special(path.state) && self.automaton.is_match(path.state)
        });
        let begins = matching.map(|path| held.len() - path.length(self.matched(path.state)));
        begins.min()
    }

    fn next(&mut self, state: StateID, byte: u8) -> StateID {
        let step = || self.automaton.next_state(Anchored::No, state, byte);
        if state == self.start {
            return step();
        }
        if self.remembered.len() >= MOST_REMEMBERED {
            self.remembered.clear();
        }
        *self.remembered.entry((state, byte)).or_insert_with(step)
    }

    /// Where the longest end of `held` begins that may become an occurrence.
    pub(super) fn pending(&self, held: &[u8]) -> usize {
        let now = self.paths.iter().map(|path| (held.len(), path));
        let openings = self.openings.iter();
        let before =
            openings.flat_map(|opening| opening.paths.iter().map(|path| (opening.at, path)));
        let begins = now.chain(before).map(|(end, path)| {
            let depth = self.depths.get(&path.state).copied().unwrap_or_default();
            end - path.length(depth)
        });
        begins.min().unwrap_or(held.len())
    }

    /// Forgets what was held before `end`.
    pub(super) fn released(&mut self, end: usize) {
        for opening in &mut self.openings {
            opening.at -= end;
        }
    }

    pub(super) fn reset(&mut self) {
        self.paths = vec![Path::at(self.start)];
        self.openings.clear();
    }

    /// Notes that an escape may begin here, if one could matter.
    fn open(&mut self, at: usize) {
        let is_idle = matches!(self.paths[..], [Path { state, .. }] if state == self.start);
        if self.begins_escaped || !is_idle {
            let paths = self.paths.clone();
            self.openings.push_back(Opening { at, paths });
        }
    }

    /// Reads the escapes that end with the last byte of `held`.
    fn close(&mut self, held: &[u8]) {
        for _ in 0..self.openings.len() {
            let Some(opening) = self.openings.pop_front() else {
                return;
            };
            let escape = &held[opening.at..];
            let reading = escapes::read(escape);
            let mut buffer = [0; 4];
            let meaning = reading.meaning(&mut buffer);
            if !meaning.is_empty() {
                for mut path in opening.paths {
                    for &byte in meaning {
                        path.state = self.next(path.state, byte);
                    }
                    path.excess += escape.len() - meaning.len();
                    path.since = 0;
                    path.forget(&self.depths);
                    self.paths.push(path);
                }
            } else if reading == Reading::Unfinished {
                self.openings.push_back(opening);
            }
        }
    }

    /// Merges paths with the same state, so that the result misses nothing that one of them
    /// would find. The first is the stream as it is, and always kept.
    fn merge(&mut self) {
        let mut others = self.paths.split_off(1);
        let depth = |path: &Path| self.depths.get(&path.state).copied();
        others.sort_unstable_by_key(|path| Reverse(depth(path)));
        for path in others {
            let kept = self.paths.iter_mut().find(|kept| kept.state == path.state);
            if let Some(kept) = kept {
                kept.excess = kept.excess.max(path.excess);
                kept.since = kept.since.min(path.since);
            } else if self.paths.len() < MOST_PATHS {
                self.paths.push(path);
            }
        }
    }

    /// Length of the longest pattern that ends in a state.
    fn matched(&self, state: StateID) -> usize {
        let matches = 0..self.automaton.match_len(state);
        let length = |index| {
            let pattern = self.automaton.match_pattern(state, index);
            self.automaton.pattern_len(pattern)
        };
        matches.map(length).max().unwrap_or_default()
    }
}

impl Path {
    fn at(state: StateID) -> Self {
        Self {
            state,
            excess: 0,
            since: 0,
        }
    }

    /// Length in the stream of the last `text` bytes that were read.
    fn length(&self, text: usize) -> usize {
        if self.since >= text {
            text
        } else {
            text + self.excess
        }
    }

    /// Forgets the escapes that are no longer within the text that the state has read.
    fn forget(&mut self, depths: &HashMap<StateID, usize>) {
        if self.excess > 0 {
            let depth = depths.get(&self.state).copied().unwrap_or_default();
            self.excess = if self.since >= depth {
                0
            } else {
                self.excess.min(depth * escapes::LONGEST)
            };
        }
    }
}
