//! Somebody who does what a page says: runs its commands against a service of their own,
//! and compares what is printed with what the page shows.

use std::{
    collections::HashMap,
    env,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use regex::Regex;

/// The address that pages show.
pub(crate) const ADDRESS: &str = "127.0.0.1:50051";
/// What is another one in each run and is spoken of again: ids, etags, fencing tokens.
const NAMES: &str = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\b[0-9a-f]{8}-\d+\b|\b[0-9]{16}\b";

/// A page as it would be if it showed what is printed, and where that differs.
pub(crate) struct Checked {
    pub(crate) page: String,
    pub(crate) differences: Vec<String>,
}

/// Runs the steps of all `console` blocks of a page. Those of a block with grpcurl are
/// run only by a reader who has it.
pub(crate) fn check(page: &str, reader: &mut Reader) -> Checked {
    let mut checked = Checked {
        page: String::new(),
        differences: Vec::new(),
    };
    for part in parts(page) {
        match part {
            Part::Text(text) => checked.page.push_str(text),
            Part::Step {
                command,
                shown,
                needs_grpcurl,
            } => {
                let kept = match needs_grpcurl && !reader.has_grpcurl {
                    true => {
                        println!("not run, as GRPCURL is not set: {command}");
                        shown.to_owned()
                    }
                    false => reader.try_step(command, shown),
                };
                if kept != shown {
                    let difference = format!("$ {command}\n--- shown\n{shown}--- printed\n{kept}");
                    checked.differences.push(difference);
                }
                checked.page.push_str(&format!("$ {command}\n{kept}"));
            }
        }
    }
    checked
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

/// Somebody who does what a page says.
pub(crate) struct Reader {
    service: Child,
    address: String,
    /// A directory with the commands that pages name, for files as well.
    pub(crate) commands: tempfile::TempDir,
    pub(crate) has_grpcurl: bool,
    root: PathBuf,
    /// Ids of the page, and those that stand for them here.
    names: HashMap<String, String>,
    pub(crate) ran: usize,
}

impl Reader {
    /// A reader with a service on a free port, and with the grpcurl that the environment
    /// variable GRPCURL names.
    pub(crate) fn start(arguments: &[&str]) -> Self {
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
            .args(arguments)
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
            has_grpcurl: grpcurl.is_some(),
            root: PathBuf::from(env!("CARGO_MANIFEST_DIR")),
            names: HashMap::new(),
            ran: 0,
        }
    }

    /// Runs a command, and says what a page should show for it: what it shows already,
    /// if that is the same but for ids, times and the like.
    pub(crate) fn try_step(&mut self, command: &str, shown: &str) -> String {
        let printed = self.run(command);
        match self.is_same(shown, &printed) {
            true => shown.to_owned(),
            false => self.as_shown(&printed),
        }
    }

    /// What a command prints.
    pub(crate) fn run(&mut self, command: &str) -> String {
        println!("run: {command}");
        self.ran += 1;
        let mut command = command.replace("cargo run -- ", "pipewright ");
        command = command.replace(ADDRESS, &self.address);
        for (shown, here) in &self.names {
            command = command.replace(shown, here);
        }
        let path = env::var("PATH").unwrap();
        let output = Command::new("sh")
            .args(["-c", &format!("{command} 2>&1")])
            .current_dir(&self.root)
            .env("PATH", format!("{}:{path}", self.commands.path().display()))
            .env("PIPEWRIGHT_SERVER", &self.address)
            // The contexts of whoever runs this are none of the page's.
            .env("PIPEWRIGHT_CLIENT_CONFIG", "/nonexistent/config.toml")
            .output()
            .unwrap();
        let printed = String::from_utf8(output.stdout)
            .unwrap()
            .replace(&self.address, ADDRESS);
        // Tables are padded; a page is not.
        printed
            .lines()
            .map(|line| format!("{}\n", line.trim_end()))
            .collect()
    }

    /// Compares, and learns which ids stand for which.
    fn is_same(&mut self, shown: &str, printed: &str) -> bool {
        let name = Regex::new(NAMES).unwrap();
        let pairs = name.find_iter(shown).zip(name.find_iter(printed));
        self.names
            .extend(pairs.map(|(s, p)| (s.as_str().to_owned(), p.as_str().to_owned())));
        normal(shown) == normal(printed)
    }

    /// What was printed, with the ids that the page has for them.
    fn as_shown(&self, printed: &str) -> String {
        let back = |text: String, (shown, here): (&String, &String)| text.replace(here, shown);
        self.names.iter().fold(printed.to_owned(), back)
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
        (r"\d{4}-\d\d-\d\dT[0-9:.]+Z", "TIME"),
        (NAMES, "NAME"),
        (r"\b\d+\.\d+s\b", "DURATION"),
        (r#""nextPageToken": ".+""#, "PAGE"),
        // Of background tasks, which go on by themselves.
        (r#""(runs|items)": "\d+""#, "COUNT"),
    ] {
        text = Regex::new(pattern)
            .unwrap()
            .replace_all(&text, with)
            .into_owned();
    }
    text
}
