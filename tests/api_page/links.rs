//! Checks the links of the page to itself and to files.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use regex::Regex;

use crate::markdown::slug;

/// The errors in the page's links and headings.
pub(crate) fn broken(page: &str, directory: &Path) -> Vec<String> {
    let text = without_code(page);
    let anchors = anchors_of(&text);
    // Of two headings with the same anchor, GitHub numbers the second. Links lead to the
    // first.
    let twice = anchors.iter().filter(|(_, count)| **count > 1);
    let twice = twice.map(|(anchor, count)| format!("{count} headings are #{anchor}"));
    let leads_nowhere = |target: &&str| match target.split_once('#') {
        _ if target.starts_with("https://") => false,
        None => !directory.join(target).exists(),
        Some(("", anchor)) => !anchors.contains_key(anchor),
        Some((file, anchor)) => {
            let other = fs::read_to_string(directory.join(file)).unwrap();
            !anchors_of(&other).contains_key(anchor)
        }
    };
    let link = Regex::new(r"\]\(([^)]+)\)").unwrap();
    let targets: BTreeSet<&str> = link
        .captures_iter(&text)
        .map(|found| found.get(1).unwrap().as_str())
        .collect();
    assert!(targets.len() > 100, "links were found");
    let nowhere = targets.into_iter().filter(leads_nowhere);
    let nowhere = nowhere.map(|target| format!("{target} leads nowhere"));
    twice.chain(nowhere).collect()
}

/// The number of headings for each anchor.
fn anchors_of(page: &str) -> BTreeMap<String, usize> {
    let text = without_code(page);
    let heading = Regex::new(r"(?m)^#+ (.+)$").unwrap();
    let mut anchors = BTreeMap::new();
    for found in heading.captures_iter(&text) {
        *anchors.entry(slug(&found[1])).or_default() += 1;
    }
    anchors
}

/// The page without code blocks, in which a number sign starts a comment.
fn without_code(page: &str) -> String {
    let code = Regex::new(r"(?ms)^```.*?^```$").unwrap();
    code.replace_all(page, "").into_owned()
}
