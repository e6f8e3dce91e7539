use std::collections::HashMap;

use toml_edit::{Document, Item, Table};

use super::{
    fields::Fields,
    problems::{Finding, Problems, shown},
};
use crate::auth::{
    Entry, Kind, PasswordHash, Principal, Proof, Subject, Token, TokenHash, check_name, token,
};

/// Parses a credentials file. All errors are reported together, except for TOML syntax
/// errors: only the first of those is reported.
pub(super) fn entries(text: &str) -> Result<Vec<Entry>, Problems> {
    let mut finding = Finding::new(text);
    let document = match Document::parse(text) {
        Ok(document) => document,
        Err(error) => {
            // The error's `Display` would show the line, which may hold a secret.
            finding.add(error.span(), error.message());
            return Err(Problems(finding.problems));
        }
    };
    let mut entries = Vec::new();
    let mut unique = Unique::default();
    for (name, item) in document.iter() {
        let kind = Kind::ALL.into_iter().find(|kind| kind.table() == name);
        match (kind, item) {
            (Some(kind), Item::ArrayOfTables(tables)) => {
                for table in tables {
                    let entry = entry(kind, table, &mut finding);
                    unique.check(table, entry.as_ref(), &mut finding);
                    entries.extend(entry);
                }
            }
            (kind, item) => {
                let at = document.key(name).and_then(toml_edit::Key::span);
                let what = match kind {
                    Some(_) => format!("each of `{name}` begins with [[{name}]] on its own line"),
                    None => format!(
                        "{} is not known here; there are [[users]], [[tokens]] and [[certificates]]",
                        shown(name)
                    ),
                };
                finding.add(at.or(item.span()), what);
            }
        }
    }
    if finding.problems.is_empty() {
        Ok(entries)
    } else {
        finding.problems.sort_by_key(|problem| problem.line);
        Err(Problems(finding.problems))
    }
}

fn entry(kind: Kind, table: &Table, finding: &mut Finding<'_>) -> Option<Entry> {
    let mut fields = Fields { table, finding };
    fields.only(match kind {
        Kind::User => &["name", "password", "roles"],
        Kind::Token => &[
            "name",
            "id",
            "sha256",
            "create_time",
            "expire_time",
            "replaced",
            "roles",
        ],
        Kind::Certificate => &["name", "subject_alt_name", "common_name", "roles"],
    });
    let name = fields.text("name");
    if let Some(Err(error)) = name.map(check_name) {
        fields.wrong("name", error.to_string());
    }
    let proof = match kind {
        Kind::User => password(&mut fields).map(Proof::Password),
        Kind::Token => token(&mut fields).map(Proof::Token),
        Kind::Certificate => subject(&mut fields).map(Proof::Certificate),
    };
    let grants = fields.grants();
    Some(Entry {
        principal: Principal {
            name: name?.to_owned(),
            grants: grants?,
        },
        proof: proof?,
    })
}

fn password(fields: &mut Fields<'_, '_>) -> Option<PasswordHash> {
    let hash = PasswordHash::parse(fields.text("password")?);
    if hash.is_none() {
        let what = "`password` must be an argon2id hash as `pipewright user set-password` makes it";
        fields.wrong("password", what);
    }
    hash
}

fn token(fields: &mut Fields<'_, '_>) -> Option<Token> {
    let id = fields.text("id").filter(|id| {
        token::is_id(id) || {
            fields.wrong("id", "`id` must be 1 to 32 letters and digits");
            false
        }
    });
    let hash = fields.text("sha256").and_then(|text| {
        let hash = TokenHash::parse(text);
        if hash.is_none() {
            fields.wrong("sha256", "`sha256` must be 64 hexadecimal digits");
        }
        hash
    });
    let (create_time, expire_time) = (fields.time("create_time"), fields.time("expire_time"));
    let replaced = fields.replaced();
    Some(Token {
        id: id?.to_owned(),
        hash: hash?,
        create_time,
        expire_time,
        replaced,
    })
}

fn subject(fields: &mut Fields<'_, '_>) -> Option<Subject> {
    let (field, make): (_, fn(String) -> Subject) =
        match (fields.has("subject_alt_name"), fields.has("common_name")) {
            (true, false) => ("subject_alt_name", Subject::AltName),
            (false, true) => ("common_name", Subject::CommonName),
            (..) => {
                let what = "a certificate needs `subject_alt_name` or `common_name`, and not both";
                fields.wrong("common_name", what);
                return None;
            }
        };
    let text = fields.text(field)?;
    if text.is_empty() {
        fields.wrong(field, format!("`{field}` is empty"));
        return None;
    }
    Some(make(text.to_owned()))
}

/// Values that must be unique, with the line of their first use.
#[derive(Default)]
struct Unique {
    names: HashMap<String, usize>,
    ids: HashMap<String, usize>,
    subjects: HashMap<Subject, usize>,
}

impl Unique {
    fn check(&mut self, table: &Table, entry: Option<&Entry>, finding: &mut Finding<'_>) {
        let at = |field| table.get(field).and_then(Item::span);
        // A name counts even if its entry has other errors.
        if let (Some(name), Some(at)) = (table.get("name").and_then(Item::as_str), at("name")) {
            let line = finding.line(at.start);
            if let Some(first) = first(&mut self.names, name.to_owned(), line) {
                let what = format!("another has the name {} too, on line {first}", shown(name));
                finding.add(Some(at), what);
            }
        }
        let line = table.span().map_or(0, |at| finding.line(at.start));
        let shared = match entry.map(|entry| &entry.proof) {
            Some(Proof::Token(token)) => {
                let replaced = token.replaced.as_ref().map(|replaced| &replaced.id);
                let ids = [&token.id].into_iter().chain(replaced);
                let first = ids.filter_map(|id| first(&mut self.ids, id.clone(), line));
                first
                    .min()
                    .map(|line| ("another token has this `id` too", line))
            }
            Some(Proof::Certificate(subject)) => {
                let first = first(&mut self.subjects, subject.clone(), line);
                first.map(|line| ("another has certificates of this name too", line))
            }
            Some(Proof::Password(_)) | None => None,
        };
        if let Some((what, first)) = shared {
            finding.add(table.span(), format!("{what}, on line {first}"));
        }
    }
}

/// The line where this was first; records this line if there is none.
fn first<K: std::hash::Hash + Eq>(
    lines: &mut HashMap<K, usize>,
    key: K,
    line: usize,
) -> Option<usize> {
    let first = *lines.entry(key).or_insert(line);
    (first != line).then_some(first)
}
