//! The README's commands print what the README shows.
//!
//! Each `console` block is run: lines that begin with `$ ` are commands, the others
//! are their output. Ids, times and addresses match any value. grpcurl commands are
//! run if the environment variable GRPCURL names it, as in CI; the test prints
//! which ones were run. With UPDATE_README set, the README is updated with the
//! output.

#![allow(
    clippy::unwrap_used,
    reason = "in a test's helper, too, a panic is the report"
)]

use std::{env, fs, path::Path};

use regex::Regex;

#[path = "support/console.rs"]
mod console;

use console::{Reader, check};

#[test]
fn the_readme_shows_the_real_output() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = fs::read_to_string(&path).unwrap();
    let mut reader = Reader::start(&[]);
    let checked = check(&readme, &mut reader);
    if env::var_os("UPDATE_README").is_some() {
        fs::write(path, checked.page).unwrap();
        return;
    }
    let differences = checked.differences;
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    assert!(reader.ran > 3, "the README has commands");
}

/// The service accepts the pipelines that the README shows.
#[test]
fn the_pipelines_in_the_readme_are_valid() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = fs::read_to_string(path).unwrap();
    let block = Regex::new(r"(?ms)^```yaml\n(.*?)^```$").unwrap();
    let mut reader = Reader::start(&[]);
    let mut checked = 0;
    for found in block.captures_iter(&readme) {
        let file = reader.commands.path().join("pipeline.yaml");
        fs::write(&file, &found[1]).unwrap();
        let file = file.display();
        let check = format!("pipewright pipeline create --validate-only --file {file}");
        let printed = reader.run(&format!("{check} && echo good"));
        assert!(printed.ends_with("good\n"), "{printed}");
        checked += 1;
    }
    assert!(checked > 0, "the README shows a pipeline");
}
