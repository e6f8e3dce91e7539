use std::{collections::BTreeSet, time::SystemTime};

use toml_edit::{Item, Table, TableLike, Value};

use super::problems::{Finding, shown};
use crate::auth::{Grant, Grants, Replaced, Role, TokenHash, token::is_id};

/// The fields of one entry of the file. Errors are recorded, and the field is read as none.
pub(super) struct Fields<'a, 't> {
    pub(super) table: &'a Table,
    pub(super) finding: &'a mut Finding<'t>,
}

impl<'a> Fields<'a, '_> {
    /// Reports fields other than these.
    pub(super) fn only(&mut self, known: &[&str]) {
        for (name, _) in self.table.iter().filter(|(name, _)| !known.contains(name)) {
            let at = self.table.key(name).and_then(toml_edit::Key::span);
            let there_are = known.join(", ");
            let what = format!("{} is no field here; there are {there_are}", shown(name));
            self.finding.add(at, what);
        }
    }

    pub(super) fn wrong(&mut self, field: &str, what: impl Into<String>) {
        let at = self.table.get(field).and_then(Item::span);
        self.finding.add(at.or(self.table.span()), what);
    }

    pub(super) fn has(&self, field: &str) -> bool {
        self.table.contains_key(field)
    }

    pub(super) fn text(&mut self, field: &str) -> Option<&'a str> {
        let Some(item) = self.table.get(field) else {
            self.wrong(field, format!("`{field}` is missing"));
            return None;
        };
        let text = item.as_str();
        if text.is_none() {
            self.wrong(field, format!("`{field}` must be text in quotes"));
        }
        text
    }

    /// An optional field, as text or as a TOML date.
    pub(super) fn time(&mut self, field: &str) -> Option<SystemTime> {
        let item = self.table.get(field)?;
        let text = match item.as_value() {
            Some(Value::String(text)) => text.value().clone(),
            Some(Value::Datetime(date)) => date.value().to_string(),
            _ => String::new(),
        };
        let time = humantime::parse_rfc3339(&text).ok();
        if time.is_none() {
            let what = format!("`{field}` must be a time such as \"2027-01-31T00:00:00Z\"");
            self.wrong(field, what);
        }
        time
    }

    /// The replaced token, as a rotation writes it.
    pub(super) fn replaced(&mut self) -> Option<Replaced> {
        let item = self.table.get("replaced")?;
        let read = |table: &dyn TableLike| {
            let text = |field| table.get(field).and_then(Item::as_str);
            Some(Replaced {
                id: text("id").filter(|id| is_id(id))?.to_owned(),
                hash: TokenHash::parse(text("sha256")?)?,
                expire_time: humantime::parse_rfc3339(text("expire_time")?).ok()?,
            })
        };
        let replaced = item
            .as_table_like()
            .filter(|table| table.len() == 3)
            .and_then(read);
        if replaced.is_none() {
            let what = "`replaced` must have `id`, `sha256` and `expire_time`, as `pipewright \
                        token rotate` writes them";
            self.wrong("replaced", what);
        }
        replaced
    }

    pub(super) fn grants(&mut self) -> Option<Grants> {
        let Some(item) = self.table.get("roles") else {
            self.wrong("roles", "`roles` is missing; { \"*\" = \"viewer\" } is one");
            return None;
        };
        let Some(roles) = item.as_table_like() else {
            let what =
                "`roles` must name projects, as { shop = [\"developer\"], \"*\" = \"viewer\" }";
            self.wrong("roles", what);
            return None;
        };
        let before = self.finding.problems.len();
        let grants: Grants = roles
            .iter()
            .flat_map(|(project, given)| self.of_project(roles, project, given))
            .collect();
        let is_right = self.finding.problems.len() == before;
        if is_right && grants.0.is_empty() {
            self.wrong("roles", "`roles` gives none; { \"*\" = \"viewer\" } is one");
            return None;
        }
        is_right.then_some(grants)
    }

    fn of_project(&mut self, roles: &dyn TableLike, project: &str, given: &Item) -> Vec<Grant> {
        let at = given.span().or_else(|| roles.key(project)?.span());
        let roles: Vec<&Value> = match given.as_value() {
            Some(Value::Array(roles)) => roles.iter().collect(),
            Some(role) => vec![role],
            None => Vec::new(),
        };
        if roles.is_empty() {
            let what = "a project has a role, or several as [\"developer\", \"runner\"]";
            self.finding.add(at.clone(), what);
        }
        let mut grants = Vec::new();
        let mut told = BTreeSet::new();
        for role in roles {
            let text = role.as_str().unwrap_or_default();
            let grant = match text.parse::<Role>() {
                Err(_) => {
                    let all = Role::ALL.map(|role| role.to_string()).join(", ");
                    Err(format!("{} is no role; there are {all}", shown(text)))
                }
                Ok(role) => Grant::new(project, role).map_err(|error| error.to_string()),
            };
            match grant {
                Ok(grant) => grants.push(grant),
                Err(what) if told.insert(what.clone()) => {
                    self.finding.add(role.span().or(at.clone()), what);
                }
                Err(_) => {}
            }
        }
        grants
    }
}
