//! Checks docs/TROUBLESHOOTING.md against the program: quoted messages are printed
//! somewhere, commands and their flags exist, and each symptom names a test that
//! provokes it.

#![allow(
    clippy::unwrap_used,
    reason = "in a test's helper, too, a panic is the report"
)]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

const PAGE: &str = "docs/TROUBLESHOOTING.md";
const LEAST_SYMPTOMS: usize = 25;
/// Placeholder for variable text.
const ANY: char = '…';
/// A quote with less fixed text would match anything.
const LEAST_FIXED: usize = 3;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

/// A heading of the third level, and the text below it.
struct Entry {
    heading: String,
    text: String,
}

impl Entry {
    fn all(page: &str) -> Vec<Self> {
        let mut entries: Vec<Self> = Vec::new();
        let mut is_in_entry = false;
        let mut is_in_code = false;
        for line in page.lines() {
            is_in_code ^= line.starts_with("```");
            if !is_in_code && line.starts_with('#') {
                let heading = line.strip_prefix("### ");
                is_in_entry = heading.is_some();
                entries.extend(heading.map(|heading| Self {
                    heading: heading.to_owned(),
                    text: String::new(),
                }));
            } else if let Some(entry) = entries.last_mut().filter(|_| is_in_entry) {
                entry.text.push_str(line);
                entry.text.push('\n');
            }
        }
        entries
    }

    /// The messages in the heading.
    fn quotes(&self) -> impl Iterator<Item = &str> {
        self.heading.split('`').skip(1).step_by(2)
    }

    /// The lines of its code blocks; continuation lines are joined.
    fn commands(&self) -> Vec<String> {
        let blocks = self.text.split("```").skip(1).step_by(2);
        let code = blocks.filter_map(|block| block.split_once('\n'));
        let code: String = code.map(|(_, lines)| lines).collect();
        let joined = code.replace("\\\n", " ");
        let is_command = |line: &&str| !line.trim().is_empty() && !line.starts_with('#');
        joined
            .lines()
            .filter(is_command)
            .map(str::to_owned)
            .collect()
    }

    /// The file and the function of the last line.
    fn test(&self) -> Option<(&str, &str)> {
        let last = self.text.trim_end().lines().next_back()?;
        let named = last.strip_prefix("Test: `")?.strip_suffix('`')?;
        named.split_once(": ")
    }

    fn faults(&self, printed: &[String]) -> Vec<String> {
        let mut faults = Vec::new();
        for part in ["**Cause.** ", "**Fix.** "] {
            if !self.text.contains(part) {
                faults.push(format!("lacks {part}"));
            }
        }
        let commands = self.commands();
        if commands.is_empty() {
            faults.push("has no command".to_owned());
        }
        faults.extend(commands.iter().filter_map(|line| wrong_command(line)));
        match self.test() {
            None => faults.push("does not end with its test".to_owned()),
            Some((file, function)) if !is_test(file, function) => {
                faults.push(format!("names no test: {file}: {function}"));
            }
            Some(_) => {}
        }
        let unknown = self.quotes().filter(|quote| !is_printed(quote, printed));
        faults.extend(unknown.map(|quote| format!("quotes what nothing prints: {quote}")));
        faults
    }
}

/// Whether the file has a test function of this name.
fn is_test(file: &str, function: &str) -> bool {
    let Ok(source) = fs::read_to_string(root().join(file)) else {
        return false;
    };
    let Some((before, _)) = source.split_once(&format!("fn {function}(")) else {
        return false;
    };
    // The last piece is the beginning of the function's own line.
    let above = before.rsplit('\n').skip(1);
    above
        .take_while(|line| line.trim_start().starts_with("#["))
        .any(|line| line.contains("test]") || line.contains("test("))
}

/// The error in a line that calls `pipewright`: a command or a flag that the help
/// does not have.
fn wrong_command(line: &str) -> Option<String> {
    let mut words = line.split_whitespace().peekable();
    words.next_if_eq(&"pipewright")?;
    let mut name = "help".to_owned();
    let mut help = help(&name);
    while let Some(word) = words.next_if(|word| !word.starts_with('-')) {
        // An unlisted word is an argument, if the command has any.
        if !help.contains(&format!("\n  {word} ")) {
            if help.contains("<COMMAND>") {
                return Some(format!("there is no command `{word}`: {line}"));
            }
            break;
        }
        name = match format!("{name}_{word}").as_str() {
            "help_config_check" | "help_config_show" => "help_serve".to_owned(),
            name => name.to_owned(),
        };
        help = self::help(&name);
    }
    let flags = words.filter_map(|word| word.strip_prefix("--"));
    let flags = flags.map(|flag| flag.split('=').next().unwrap_or(flag));
    let unknown = flags.filter(|flag| !has_flag(&help, flag));
    unknown
        .map(|flag| format!("there is no --{flag}: {line}"))
        .next()
}

fn has_flag(help: &str, flag: &str) -> bool {
    // `      --follow` or `  -f, --follow <VALUE>`; one within a sentence does not
    // count.
    let listed = help.lines().filter_map(|line| {
        let (before, listed) = line.trim_start().split_once("--")?;
        (before.is_empty() || before.ends_with(", ")).then_some(listed)
    });
    listed
        .filter_map(|listed| listed.split(' ').next())
        .any(|listed| listed == flag)
}

/// The snapshot of a command's help.
fn help(name: &str) -> String {
    read(format!(
        "src/cli/snapshots/pipewright__cli__tests__{name}.snap"
    ))
}

/// Whether a printed line has the parts of the quote in their order.
fn is_printed(quote: &str, printed: &[String]) -> bool {
    let fixed = quote.chars().filter(|c| c.is_alphanumeric() || *c == '*');
    fixed.count() >= LEAST_FIXED
        && printed.iter().any(|line| {
            let mut rest = line.as_str();
            quote.split(ANY).all(|part| match rest.split_once(part) {
                Some((_, after)) => {
                    rest = after;
                    true
                }
                None => false,
            })
        })
}

/// The lines of the program and of the output that its tests saw, without comments.
/// Strings that are broken into several lines are joined.
fn printed() -> Vec<String> {
    let mut files = Vec::new();
    for directory in ["src", "tests", "proto"] {
        collect(&root().join(directory), &mut files);
    }
    // The protocol has the names of states, as JSON shows them.
    let is_of_program = |path: &&PathBuf| {
        let path = path.strip_prefix(root()).unwrap();
        let has = |extension| path.extension().is_some_and(|found| found == extension);
        has("snap") || has("proto") || (has("rs") && path.starts_with("src"))
    };
    let mut lines = Vec::new();
    for file in files.iter().filter(is_of_program) {
        let text = fs::read_to_string(file).unwrap();
        let mut joined = String::new();
        for line in text.lines() {
            match line.strip_suffix('\\') {
                Some(begun) if joined.is_empty() => joined = begun.to_owned(),
                Some(begun) => joined.push_str(begun.trim_start()),
                None if joined.is_empty() => lines.push(line.to_owned()),
                None => {
                    joined.push_str(line.trim_start());
                    lines.push(std::mem::take(&mut joined));
                }
            }
        }
    }
    lines.retain(|line| !line.trim_start().starts_with("//"));
    lines
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else {
            files.push(path);
        }
    }
}

#[test]
fn every_symptom_has_a_cause_a_command_and_a_test() {
    let entries = Entry::all(&read(PAGE));
    assert!(
        entries.len() >= LEAST_SYMPTOMS,
        "{} symptoms are too few",
        entries.len()
    );
    let printed = printed();
    let faults: Vec<String> = entries
        .iter()
        .flat_map(|entry| {
            let faults = entry.faults(&printed);
            faults
                .into_iter()
                .map(|fault| format!("{}\n  {fault}", entry.heading))
        })
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    let headings: BTreeSet<&str> = entries.iter().map(|entry| &*entry.heading).collect();
    assert_eq!(
        headings.len(),
        entries.len(),
        "two entries have one heading"
    );
}

#[test]
fn every_area_is_in_the_list_at_the_top() {
    let page = read(PAGE);
    for area in page.lines().filter_map(|line| line.strip_prefix("## ")) {
        let anchor = area.to_lowercase().replace(' ', "-");
        assert!(page.contains(&format!("(#{anchor})")), "{area}");
    }
}

#[test]
fn an_entry_that_is_not_right_is_found() {
    let page = "# Page\n\n## Area\n\n### `no such … message at all`\n\n**Cause.** It is.\n\n\
                **Fix.** Do.\n\n```sh\n# a comment\npipewright job frobnicate JOB\n\
                pipewright job log JOB s --nonsense\n```\n\nTest: `tests/troubleshooting.rs: read`\n";
    let entries = Entry::all(page);
    let faults = entries[0].faults(&printed());
    let expected = [
        "there is no command `frobnicate`",
        "there is no --nonsense",
        "names no test: tests/troubleshooting.rs: read",
        "quotes what nothing prints",
    ];
    assert_eq!(faults.len(), expected.len(), "{faults:#?}");
    for (fault, expected) in faults.iter().zip(expected) {
        assert!(fault.contains(expected), "{fault}");
    }
    let bare = Entry::all("### A symptom\n\nText.\n");
    assert_eq!(bare[0].faults(&[]).len(), 4);
}
