//! Checks that docs/API.md matches the contract and the examples.
//!
//! The prose of the page is written by hand. The parts between the markers
//! `<!-- generated: … -->` and `<!-- end -->` are generated here: the tables of methods
//! and reasons, and the reference, from the comments in `proto/` and the session in
//! `session.rs`. If UPDATE_API is set, the page is written; otherwise it is compared.
//!
//! If the environment variable GRPCURL has the path of grpcurl, as in CI, the session and
//! the commands in the prose are run against a service. The page must then show their
//! output, except for IDs, times and tokens. Without GRPCURL, the output shown on the page
//! is assumed to be correct.

#![allow(
    clippy::unwrap_used,
    reason = "in a test's helper, too, a panic is the report"
)]

use std::{
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
};

use pipewright::proto::FILE_DESCRIPTOR_SET;
use prost_reflect::DescriptorPool;

#[path = "../support/console.rs"]
mod console;
mod links;
mod markdown;
mod overview;
mod reference;
mod regions;
mod session;

use console::{Reader, check};

#[test]
fn the_page_is_what_the_contract_and_the_examples_say() {
    let page = fs::read_to_string(path()).unwrap();
    // A part that is missing from the page would not be compared.
    let parts = ["methods", "session", "reasons", "reference"];
    assert_eq!(regions::names(&page), parts);
    // The session itself acts as the runner.
    let mut reader = Reader::start(&["--no-embedded-runner"]);
    let examples = session::play(&page, &mut reader);
    let pool = pool();
    let generated = regions::fill(&page, |name| match name {
        "methods" => overview::methods(&pool),
        "session" => overview::session(),
        "reasons" => overview::reasons(),
        "reference" => reference::of(&pool, &examples),
        _ => panic!("nothing is generated under the name '{name}'"),
    });
    let generated = regions::map_prose(&generated, |prose| check(prose, &mut reader).page);
    if env::var_os("UPDATE_API").is_some() {
        for example in &examples {
            let method = example.method;
            assert!(
                !example.output.is_empty(),
                "run {method} first: set GRPCURL"
            );
        }
        fs::write(path(), generated).unwrap();
        return;
    }
    if let Some((is, should)) = difference(&page, &generated) {
        panic!(
            "docs/API.md is not up to date; run UPDATE_API=1 GRPCURL=… cargo test --test api_page\n\
             --- it says\n{is}\n--- it should say\n{should}"
        );
    }
}

#[test]
fn every_method_has_an_example() {
    let pool = pool();
    let methods: BTreeSet<String> = reference::services(&pool)
        .flat_map(|service| service.methods().collect::<Vec<_>>())
        .map(|method| reference::path(&method))
        .collect();
    let examples = session::SESSION.iter().map(|step| step.method.to_owned());
    assert_eq!(examples.collect::<BTreeSet<_>>(), methods);
}

#[test]
fn every_link_of_the_page_leads_somewhere() {
    let page = fs::read_to_string(path()).unwrap();
    let directory = path().parent().unwrap().to_owned();
    let broken = links::broken(&page, &directory);
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/API.md")
}

fn pool() -> DescriptorPool {
    DescriptorPool::decode(FILE_DESCRIPTOR_SET).unwrap()
}

/// The first lines that differ, and some lines after them.
fn difference(is: &str, should: &str) -> Option<(String, String)> {
    const SHOWN: usize = 12;
    let is: Vec<&str> = is.lines().collect();
    let should: Vec<&str> = should.lines().collect();
    let same = is.iter().zip(&should).take_while(|(a, b)| a == b).count();
    let from_there = |lines: &[&str]| {
        let shown: Vec<&str> = lines[same..].iter().copied().take(SHOWN).collect();
        shown.join("\n")
    };
    (is != should).then(|| (from_there(&is), from_there(&should)))
}
