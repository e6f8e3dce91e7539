//! Holds prose to the terms of the field: a reader greps for `metrics` and `the caller`, not
//! for a paraphrase of them.

#![allow(
    clippy::unwrap_used,
    reason = "in a test's helper, too, a panic is the report"
)]

use std::{
    fs,
    path::{Path, PathBuf},
    sync::LazyLock,
};

use regex::Regex;

/// A paraphrase as a regular expression, and what to write instead.
const BANNED: [(&str, &str); 36] = [
    ("who calls", "the caller"),
    ("whoever", "the caller, the client, the user"),
    ("strangers?", "untrusted client, untrusted input"),
    ("nobody", "no one, no client, no runner"),
    ("somebody", "someone, a client, another process"),
    ("everybody", "everyone, every client"),
    (
        "(is|are|was|were|be|being) told",
        "notified, reported, logged",
    ),
    (
        "tells? (of|others|people|them|him|who)",
        "reports, notifies, shows",
    ),
    ("makes? known", "reports"),
    ("mistakes?", "error"),
    ("mends?|mended|mending", "fix"),
    ("in the clear", "in plaintext"),
    ("in vain", "without success"),
    ("for ever", "indefinitely"),
    ("at once", "immediately, concurrently, at the same time"),
    ("by and by", "eventually"),
    ("kept answers?", "idempotency record"),
    ("answers that are kept", "idempotency records"),
    ("behind the gate|the gate", "the middleware"),
    ("the front", "the router"),
    ("held back|holds back", "suppressed, throttled, deferred"),
    ("taken away|takes away", "revoked, removed"),
    ("thrown out|thrown away", "evicted, dropped, discarded"),
    ("comes? into being", "is created"),
    ("of before", "previous, earlier"),
    ("and the like", "and similar"),
    ("giv(es?|en|ing) back", "release, return"),
    ("hand(s|ed)? out", "issue, assign, lease"),
    ("let(s|ting)? go of", "release"),
    ("look(s|ed|ing)? at", "inspect, check, read"),
    ("waits? longer and longer", "exponential backoff"),
    ("stands? still", "stalls, is blocked"),
    ("goes on", "continues"),
    ("the numbers of", "the metrics of"),
    ("has its place", "is admitted"),
    ("a look", "a read, a check"),
];

/// What readers see: the pages, the contract, the program's text and comments, and what the
/// snapshots say that it prints.
const READ: [(&str, &[&str]); 8] = [
    ("README.md", &[]),
    ("CONTRIBUTING.md", &[]),
    ("docs", &["md"]),
    ("proto", &["proto"]),
    ("src", &["rs", "snap", "md"]),
    ("tests", &["rs"]),
    ("examples", &["toml", "yaml", "md", "py"]),
    ("clients", &["md"]),
];

/// Dependencies and build output below `clients`.
const SKIPPED: [&str; 4] = ["node_modules", "target", ".venv", "words.rs"];

fn files(path: &Path, extensions: &[&str], found: &mut Vec<PathBuf>) {
    let name = path.file_name().unwrap().to_str().unwrap();
    if SKIPPED.contains(&name) {
        return;
    }
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            files(&entry.unwrap().path(), extensions, found);
        }
        return;
    }
    let extension = path.extension().and_then(|extension| extension.to_str());
    let is_read = extensions.is_empty() || extension.is_some_and(|one| extensions.contains(&one));
    if is_read {
        found.push(path.to_owned());
    }
}

/// The phrases as one expression each, compiled once. A phrase may be broken over two lines,
/// the second of which begins with a comment's sign.
static RULES: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    let rule = |(phrase, right): &(&str, &'static str)| {
        let phrase = phrase.replace(' ', r"(?: |\s*\n\s*(?://[/!]?|#|\*)?\s*)");
        let rule = Regex::new(&format!(r"(?i-u)\b(?:{phrase})\b"));
        (rule.unwrap(), *right)
    };
    BANNED.iter().map(rule).collect()
});

/// The lines that have a banned phrase, with what would be right.
fn banned(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (rule, right) in RULES.iter() {
        for hit in rule.find_iter(text) {
            let line = text[..hit.start()].matches('\n').count() + 1;
            found.push(format!("{line}: `{}`: write: {right}", hit.as_str()));
        }
    }
    found
}

#[test]
fn prose_uses_the_standard_terms() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    for (path, extensions) in READ {
        files(&root.join(path), extensions, &mut paths);
    }
    assert!(paths.len() > 300, "only {} files were found", paths.len());
    let mut wrong = Vec::new();
    for path in paths {
        let text = fs::read_to_string(&path).unwrap();
        let name = path.strip_prefix(root).unwrap().display();
        wrong.extend(banned(&text).into_iter().map(|hit| format!("{name}:{hit}")));
    }
    assert!(
        wrong.is_empty(),
        "{} phrases:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn a_phrase_is_found_over_two_lines_and_in_any_case() {
    assert_eq!(banned("/// Who\n    /// calls it.").len(), 1);
    assert_eq!(banned("a\nb NOBODY").len(), 1);
    assert!(banned("b NOBODY")[0].starts_with("1: `NOBODY`"));
    assert!(banned("the caller, and anonymous_body").is_empty());
}
