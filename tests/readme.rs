//! The README's commands do what the README shows.
//!
//! Each `console` block is run: lines that begin with `$ ` are commands, the others
//! are what they print. Ids, times and addresses stand for any. Commands of grpcurl
//! are run where the environment variable GRPCURL names it, as CI does; which ones
//! were run, the test prints. With UPDATE_README set, the README takes what was printed.

#![allow(
    clippy::unwrap_used,
    reason = "in a test's helper, too, a panic is the report"
)]

use std::{
    collections::HashMap,
    env, fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use regex::Regex;

const ADDRESS: &str = "127.0.0.1:50051";

#[test]
fn the_readme_shows_what_is_printed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = root.join("README.md");
    let readme = fs::read_to_string(&path).unwrap();
    let mut reader = Reader::start(root);
    let mut updated = String::new();
    let mut differences = Vec::new();
    for part in parts(&readme) {
        match part {
            Part::Text(text) => updated.push_str(text),
            Part::Step {
                command,
                shown,
                needs_grpcurl,
            } => {
                if needs_grpcurl && !reader.grpcurl {
                    println!("not run, as GRPCURL is not set: {command}");
                    updated.push_str(&format!("$ {command}\n{shown}"));
                    continue;
                }
                let printed = reader.run(command);
                let is_same = reader.is_same(shown, &printed);
                let kept = if is_same {
                    shown
                } else {
                    &reader.as_shown(&printed)
                };
                updated.push_str(&format!("$ {command}\n{kept}"));
                if !is_same {
                    differences.push(format!(
                        "$ {command}\n--- shown\n{shown}--- printed\n{printed}"
                    ));
                }
            }
        }
    }
    if env::var_os("UPDATE_README").is_some() {
        fs::write(path, updated).unwrap();
        return;
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    assert!(reader.ran > 3, "the README has commands");
}

/// A pipeline that the README shows is one that the service takes.
#[test]
fn the_pipelines_that_the_readme_shows_are_good() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    let block = Regex::new(r"(?ms)^```yaml\n(.*?)^```$").unwrap();
    let mut reader = Reader::start(root);
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

enum Part<'a> {
    Text(&'a str),
    Step {
        command: &'a str,
        shown: &'a str,
        /// A command of its block is grpcurl's, so what it does hangs together with that.
        needs_grpcurl: bool,
    },
}

/// Takes a text apart into the steps of its `console` blocks and all else.
fn parts(text: &str) -> Vec<Part<'_>> {
    let block = Regex::new(r"(?ms)^```console\n(.*?)^```$").unwrap();
    let step = Regex::new(r"(?m)^\$ (.*)\n((?:[^$\n].*\n|\n)*)").unwrap();
    let mut parts = Vec::new();
    let mut done = 0;
    for found in block.captures_iter(text) {
        let inner = found.get(1).unwrap();
        for captures in step.captures_iter(inner.as_str()) {
            let whole = captures.get(0).unwrap();
            parts.push(Part::Text(&text[done..inner.start() + whole.start()]));
            parts.push(Part::Step {
                command: captures.get(1).unwrap().as_str(),
                shown: captures.get(2).unwrap().as_str(),
                needs_grpcurl: inner.as_str().contains("$ grpcurl "),
            });
            done = inner.start() + whole.end();
        }
    }
    parts.push(Part::Text(&text[done..]));
    parts
}

/// Somebody who does what the README says.
struct Reader {
    service: Child,
    address: String,
    /// A directory with the commands that the README names.
    commands: tempfile::TempDir,
    grpcurl: bool,
    root: PathBuf,
    /// Ids of the README, and those that stand for them here.
    ids: HashMap<String, String>,
    ran: usize,
}

impl Reader {
    fn start(root: &Path) -> Self {
        let binary = env!("CARGO_BIN_EXE_pipewright");
        let commands = tempfile::tempdir().unwrap();
        let link = |path: &Path, name: &str| {
            std::os::unix::fs::symlink(path, commands.path().join(name)).unwrap();
        };
        link(Path::new(binary), "pipewright");
        let grpcurl = env::var_os("GRPCURL").map(PathBuf::from);
        if let Some(path) = &grpcurl {
            link(path, "grpcurl");
        }
        let mut service = Command::new(binary)
            .args(["serve", "--listen", "127.0.0.1:0"])
            // Killed at the end, it cannot remove what it put there itself.
            .env("TMPDIR", commands.path())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut told = BufReader::new(service.stderr.as_mut().unwrap()).lines();
        let line = told.find(|line| line.as_ref().unwrap().contains("address="));
        let line = line.unwrap().unwrap();
        let (_, address) = line.split_once("address=").unwrap();
        Self {
            address: address.split_whitespace().next().unwrap().to_owned(),
            service,
            commands,
            grpcurl: grpcurl.is_some(),
            root: root.to_owned(),
            ids: HashMap::new(),
            ran: 0,
        }
    }

    /// What a command prints.
    fn run(&mut self, command: &str) -> String {
        println!("run: {command}");
        self.ran += 1;
        let mut command = command.replace("cargo run -- ", "pipewright ");
        command = command.replace(ADDRESS, &self.address);
        for (shown, here) in &self.ids {
            command = command.replace(shown, here);
        }
        let path = env::var("PATH").unwrap();
        let output = Command::new("sh")
            .args(["-c", &format!("{command} 2>&1")])
            .current_dir(&self.root)
            .env("PATH", format!("{}:{path}", self.commands.path().display()))
            .env("PIPEWRIGHT_SERVER", &self.address)
            // The contexts of whoever runs this are none of the README's.
            .env("PIPEWRIGHT_CLIENT_CONFIG", "/nonexistent/config.toml")
            .output()
            .unwrap();
        let printed = String::from_utf8(output.stdout)
            .unwrap()
            .replace(&self.address, ADDRESS);
        // Tables are padded; a README is not.
        printed
            .lines()
            .map(|line| format!("{}\n", line.trim_end()))
            .collect()
    }

    /// Compares, and learns which ids stand for which.
    fn is_same(&mut self, shown: &str, printed: &str) -> bool {
        let id = Regex::new(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}").unwrap();
        let pairs = id.find_iter(shown).zip(id.find_iter(printed));
        self.ids
            .extend(pairs.map(|(s, p)| (s.as_str().to_owned(), p.as_str().to_owned())));
        normal(shown) == normal(printed)
    }
}

impl Reader {
    /// What was printed, with the ids that the README has for them.
    fn as_shown(&self, printed: &str) -> String {
        let back = |text: String, (shown, here): (&String, &String)| text.replace(here, shown);
        self.ids.iter().fold(printed.to_owned(), back)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let _ = self.service.kill();
        let _ = self.service.wait();
    }
}

fn normal(text: &str) -> String {
    let mut text = text.to_owned();
    for (pattern, with) in [
        (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "ID"),
        (r"\d{4}-\d\d-\d\dT[0-9:.]+Z", "TIME"),
        (r"\b\d+\.\ds\b", "DURATION"),
        (r"\b[0-9a-f]{8}-\d+\b", "ETAG"),
    ] {
        text = Regex::new(pattern)
            .unwrap()
            .replace_all(&text, with)
            .into_owned();
    }
    text
}
