//! Ordered indexes of what lists show, the newest last, so that a page is a walk
//! backwards from a place that a tree finds.

mod jobs;
mod pipelines;

use std::{collections::BTreeSet, iter::Peekable};

pub(super) use jobs::JobIndex;
pub(super) use pipelines::PipelineIndex;

fn is_among(wanted: &Option<BTreeSet<String>>, project: &str) -> bool {
    wanted
        .as_ref()
        .is_none_or(|wanted| wanted.contains(project))
}

/// One list out of several, each of which has its newest first.
struct Merged<List: Iterator> {
    lists: Vec<Peekable<List>>,
}

impl<List: Iterator> Merged<List> {
    fn of(lists: impl Iterator<Item = List>) -> Self {
        Self {
            lists: lists.map(Iterator::peekable).collect(),
        }
    }
}

impl<Id: Copy + Ord, List: Iterator<Item = Id>> Iterator for Merged<List> {
    type Item = Id;

    fn next(&mut self) -> Option<Id> {
        let heads = self.lists.iter_mut().map(|list| {
            let head = list.peek().copied();
            (head, list)
        });
        let (_, newest) = heads.max_by_key(|(head, _)| *head)?;
        newest.next()
    }
}
