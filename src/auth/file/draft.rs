use std::time::SystemTime;

use toml_edit::{Array, ArrayOfTables, DocumentMut, InlineTable, Item, Table, Value};

use super::CredentialsError;
use crate::auth::{Entry, Grants, Kind, PasswordHash, Proof, Replaced, Subject, Token};

const HEADER: &str = "\
# Who may call the service. `pipewright user`, `token` and `certificate` change this
# file, and so may you. It has no passwords and no tokens, only hashes of them.

";

/// A credentials file that is being changed. Comments and formatting are preserved.
pub struct Draft {
    document: DocumentMut,
    entries: Vec<Entry>,
}

impl Draft {
    /// `entries` are those of the document.
    pub(super) fn new(document: DocumentMut, entries: Vec<Entry>) -> Self {
        Self { document, entries }
    }

    /// All entries as they were before any change.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Adds an entry.
    ///
    /// # Errors
    /// If another entry has its name or its certificate.
    pub fn add(&mut self, entry: &Entry) -> Result<(), CredentialsError> {
        let name = &entry.principal.name;
        for other in &self.entries {
            if other.principal.name == *name {
                let (name, kind) = (name.clone(), other.kind());
                return Err(CredentialsError::NameTaken { name, kind });
            }
            if let (Proof::Certificate(new), Proof::Certificate(subject)) =
                (&entry.proof, &other.proof)
                && new == subject
            {
                return Err(CredentialsError::SubjectTaken {
                    subject: subject.clone(),
                    name: other.principal.name.clone(),
                });
            }
        }
        let mut table = table(entry);
        if self.document.as_table().is_empty()
            && self.document.trailing().as_str().is_none_or(str::is_empty)
        {
            table.decor_mut().set_prefix(HEADER);
        }
        let tables = self.document.entry(entry.kind().table());
        let tables = tables.or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new()));
        if let Some(tables) = tables.as_array_of_tables_mut() {
            tables.push(table);
        }
        Ok(())
    }

    /// Removes the entry of this kind with this name, or the token with this id. Returns its
    /// name.
    ///
    /// # Errors
    /// If there is none.
    pub fn remove(&mut self, kind: Kind, name: &str) -> Result<String, CredentialsError> {
        let is_it = |entry: &&Entry| match &entry.proof {
            Proof::Token(token) if kind == Kind::Token && token.id == name => true,
            _ => entry.kind() == kind && entry.principal.name == name,
        };
        let found = self.entries.iter().find(is_it);
        let found = found.map(|entry| entry.principal.name.clone());
        let Some(name) = found else {
            return Err(self.not_found(kind, name));
        };
        if let Some(tables) = self.tables(kind)
            && let Some(index) = position(tables, &name)
        {
            let removed = tables.remove(index);
            self.keep_comment(&removed);
        }
        Ok(name)
    }

    /// Changes the password of a user.
    ///
    /// # Errors
    /// If there is no such user.
    pub fn set_password(
        &mut self,
        name: &str,
        hash: &PasswordHash,
    ) -> Result<(), CredentialsError> {
        let table = self.table(Kind::User, name)?;
        set(table, "password", hash.text().into());
        Ok(())
    }

    /// The token of this name.
    ///
    /// # Errors
    /// If there is none.
    pub fn token(&self, name: &str) -> Result<&Token, CredentialsError> {
        let tokens = self.entries.iter().filter_map(|entry| match &entry.proof {
            Proof::Token(token) => Some((entry, token)),
            Proof::Password(_) | Proof::Certificate(_) => None,
        });
        let mut named = tokens.filter(|(entry, _)| entry.principal.name == name);
        let found = named.next().map(|(_, token)| token);
        found.ok_or_else(|| self.not_found(Kind::Token, name))
    }

    /// Replaces the token of this name.
    ///
    /// # Errors
    /// If there is no token of this name.
    pub fn set_token(&mut self, name: &str, token: &Token) -> Result<(), CredentialsError> {
        let table = self.table(Kind::Token, name)?;
        for (field, value) in token_fields(token) {
            match value {
                Some(value) => set(table, field, value),
                None => drop(table.remove(field)),
            }
        }
        Ok(())
    }

    /// Revokes the token with this id that was replaced by another one. Returns the name of
    /// both; none if there is no such token.
    pub fn revoke_replaced(&mut self, id: &str) -> Option<String> {
        let has_replaced = |entry: &&Entry| match &entry.proof {
            Proof::Token(token) => token.replaced.as_ref().is_some_and(|old| old.id == id),
            Proof::Password(_) | Proof::Certificate(_) => false,
        };
        let entry = self.entries.iter().find(has_replaced)?;
        let name = entry.principal.name.clone();
        self.table(Kind::Token, &name).ok()?.remove("replaced");
        Some(name)
    }

    /// Replaces the roles of an entry.
    ///
    /// # Errors
    /// If there is none of this kind and name.
    pub fn set_roles(
        &mut self,
        kind: Kind,
        name: &str,
        grants: &Grants,
    ) -> Result<(), CredentialsError> {
        let table = self.table(kind, name)?;
        set(table, "roles", roles(grants));
        Ok(())
    }

    pub(super) fn text(&self) -> String {
        self.document.to_string()
    }

    fn tables(&mut self, kind: Kind) -> Option<&mut ArrayOfTables> {
        let tables = self.document.get_mut(kind.table());
        tables.and_then(Item::as_array_of_tables_mut)
    }

    fn table(&mut self, kind: Kind, name: &str) -> Result<&mut Table, CredentialsError> {
        let missing = self.not_found(kind, name);
        let table = self.tables(kind).and_then(|tables| {
            let index = position(tables, name)?;
            tables.get_mut(index)
        });
        table.ok_or(missing)
    }

    fn not_found(&self, kind: Kind, name: &str) -> CredentialsError {
        let of_name = |entry: &&Entry| entry.principal.name == name;
        CredentialsError::NotFound {
            kind,
            name: name.to_owned(),
            but: self.entries.iter().find(of_name).map(Entry::kind),
        }
    }

    /// A comment directly above an entry is removed with it. A comment before a blank line is
    /// about more than the entry, and moves to the next one.
    fn keep_comment(&mut self, removed: &Table) {
        let prefix = removed.decor().prefix().and_then(|prefix| prefix.as_str());
        let Some((kept, _)) = prefix.and_then(|prefix| prefix.rsplit_once("\n\n")) else {
            return;
        };
        if kept.trim().is_empty() {
            return;
        }
        let kept = format!("{kept}\n\n");
        let tables = Kind::ALL.map(Kind::table);
        let document = self.document.as_table_mut();
        let next = document
            .iter_mut()
            .filter(|(name, _)| tables.contains(&name.get()))
            .filter_map(|(_, item)| item.as_array_of_tables_mut())
            .flat_map(ArrayOfTables::iter_mut)
            .filter(|table| table.position() > removed.position())
            .min_by_key(|table| table.position());
        match next {
            Some(next) => {
                let prefix = next.decor().prefix().and_then(|prefix| prefix.as_str());
                let prefix = format!("{kept}{}", prefix.unwrap_or_default().trim_start());
                next.decor_mut().set_prefix(prefix);
            }
            None => {
                let trailing = self.document.trailing().as_str().unwrap_or_default();
                let trailing = format!("{kept}{}", trailing.trim_start());
                self.document.set_trailing(trailing);
            }
        }
    }
}

fn position(tables: &ArrayOfTables, name: &str) -> Option<usize> {
    tables
        .iter()
        .position(|table| table.get("name").and_then(Item::as_str) == Some(name))
}

/// Sets a field and preserves the comment after it.
fn set(table: &mut Table, field: &str, mut value: Value) {
    if let Some(old) = table.get(field).and_then(Item::as_value) {
        *value.decor_mut() = old.decor().clone();
    }
    table.insert(field, Item::Value(value));
}

fn table(entry: &Entry) -> Table {
    let mut table = Table::new();
    let mut put = |field: &str, value: Value| {
        table.insert(field, Item::Value(value));
    };
    put("name", entry.principal.name.as_str().into());
    match &entry.proof {
        Proof::Password(hash) => put("password", hash.text().into()),
        Proof::Token(token) => {
            for (field, value) in token_fields(token) {
                if let Some(value) = value {
                    put(field, value);
                }
            }
        }
        Proof::Certificate(Subject::AltName(name)) => put("subject_alt_name", name.into()),
        Proof::Certificate(Subject::CommonName(name)) => put("common_name", name.into()),
    }
    put("roles", roles(&entry.principal.grants));
    table
}

/// All fields of a token; none for those that are unset.
fn token_fields(token: &Token) -> [(&'static str, Option<Value>); 5] {
    let Token {
        id,
        hash,
        create_time,
        expire_time,
        replaced,
    } = token;
    [
        ("id", Some(id.into())),
        ("sha256", Some(hash.text().into())),
        ("create_time", create_time.map(time)),
        ("expire_time", expire_time.map(time)),
        ("replaced", replaced.as_ref().map(replaced_token)),
    ]
}

fn replaced_token(replaced: &Replaced) -> Value {
    let Replaced {
        id,
        hash,
        expire_time,
    } = replaced;
    let fields: [(&str, Value); 3] = [
        ("id", id.into()),
        ("sha256", hash.text().into()),
        ("expire_time", time(*expire_time)),
    ];
    Value::InlineTable(fields.into_iter().collect())
}

fn time(at: SystemTime) -> Value {
    humantime::format_rfc3339_seconds(at).to_string().into()
}

fn roles(grants: &Grants) -> Value {
    let of_project = |(project, roles): (&String, &std::collections::BTreeSet<_>)| {
        let roles: Array = roles.iter().map(ToString::to_string).collect();
        (project.clone(), Value::Array(roles))
    };
    let table: InlineTable = grants.0.iter().map(of_project).collect();
    Value::InlineTable(table)
}
