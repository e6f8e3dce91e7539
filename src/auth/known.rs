use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::Arc,
    time::SystemTime,
};

use super::{
    Entry, PasswordHash, Proof, Session, Subject, cache::Cache, certificate,
    single_flight::SingleFlight, token,
};

/// Everybody whom the service knows, at one moment. A reload makes a new one, and what
/// was found out under the old one is forgotten with it.
#[derive(Debug)]
pub(super) struct Known {
    entries: Vec<Held>,
    users: HashMap<String, usize>,
    tokens: HashMap<String, usize>,
    subjects: HashMap<Subject, usize>,
    /// For names that nobody has: as many as there are kinds of work.
    decoys: Vec<PasswordHash>,
    choice: RandomState,
    pub(super) cache: Cache,
    pub(super) single_flight: SingleFlight,
}

#[derive(Debug)]
pub(super) struct Held {
    pub(super) entry: Entry,
    pub(super) session: Arc<Session>,
}

/// What a reload changed, by names.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Changes {
    pub(super) added: Vec<String>,
    pub(super) removed: Vec<String>,
    pub(super) changed: Vec<String>,
}

impl Known {
    /// The entries must be those of one file: names, ids and subjects are unique.
    pub(super) fn new(entries: Vec<Entry>) -> Self {
        let held = |entry: Entry| Held {
            session: Session::new(entry.principal.clone(), entry.expire_time()),
            entry,
        };
        Self::of(entries.into_iter().map(held).collect())
    }

    /// As [`new`](Self::new), where entries that are as they were keep their session.
    pub(super) fn after(&self, entries: Vec<Entry>) -> (Self, Changes) {
        let mut before: HashMap<&str, &Held> = self
            .entries
            .iter()
            .map(|held| (held.entry.principal.name.as_str(), held))
            .collect();
        let mut changes = Changes::default();
        let mut now = Self::new(entries);
        for held in &mut now.entries {
            let name = &held.entry.principal.name;
            match before.remove(name.as_str()) {
                None => changes.added.push(name.clone()),
                Some(old) if old.entry == held.entry => held.session = Arc::clone(&old.session),
                Some(_) => changes.changed.push(name.clone()),
            }
        }
        changes.removed = before.into_keys().map(str::to_owned).collect();
        changes.removed.sort();
        (now, changes)
    }

    /// Ends the sessions that are not among those of `now`.
    pub(super) fn end_all_but(&self, now: &Self) {
        let kept: HashMap<&str, &Held> = now
            .entries
            .iter()
            .map(|held| (held.entry.principal.name.as_str(), held))
            .collect();
        for held in &self.entries {
            let name = held.entry.principal.name.as_str();
            let is_kept = kept
                .get(name)
                .is_some_and(|kept| Arc::ptr_eq(&kept.session, &held.session));
            if !is_kept {
                held.session.ended.cancel();
            }
        }
    }

    /// Ends the sessions that are over by this time.
    pub(super) fn end_expired(&self, now: SystemTime) {
        for held in &self.entries {
            if held.session.is_over(now) {
                held.session.ended.cancel();
            }
        }
    }

    /// Who has this token.
    pub(super) fn by_token(&self, text: &[u8]) -> Option<&Arc<Session>> {
        let held = &self.entries[*self.tokens.get(token::id_in(text)?)?];
        match &held.entry.proof {
            Proof::Token(token) if token.hash.matches(text) => Some(&held.session),
            _ => None,
        }
    }

    /// Who has this certificate. Alternative names count before the common name; if
    /// several principals are named, it is nobody's.
    pub(super) fn by_certificate(&self, der: &[u8], now: SystemTime) -> Option<&Arc<Session>> {
        let identity = certificate::identity(der)?;
        if identity.not_after < now {
            return None;
        }
        let mut named = identity
            .alt_names
            .iter()
            .filter_map(|name| self.subjects.get(name));
        let by_common_name = || self.subjects.get(identity.common_name.as_ref()?);
        let index = match named.next() {
            Some(first) if named.all(|other| other == first) => first,
            Some(_) => return None,
            None => by_common_name()?,
        };
        Some(&self.entries[*index].session)
    }

    /// The hash against which a password of this user is checked, and who it then is.
    /// For a name that nobody has it is one that no password has; which of them depends
    /// on the name alone, so that such a name takes as long, time after time, as one of
    /// those that exist.
    pub(super) fn by_name(&self, user: &str) -> (PasswordHash, Option<&Arc<Session>>) {
        let held = self.users.get(user).map(|index| &self.entries[*index]);
        if let Some(held) = held
            && let Proof::Password(hash) = &held.entry.proof
        {
            return (hash.clone(), Some(&held.session));
        }
        let count = self.decoys.len() as u64;
        let chosen = usize::try_from(self.choice.hash_one(user) % count).unwrap_or_default();
        (self.decoys[chosen].clone(), None)
    }

    fn of(entries: Vec<Held>) -> Self {
        let mut known = Self {
            entries: Vec::new(),
            users: HashMap::new(),
            tokens: HashMap::new(),
            subjects: HashMap::new(),
            decoys: Vec::new(),
            choice: RandomState::new(),
            cache: Cache::default(),
            single_flight: SingleFlight::default(),
        };
        for (index, held) in entries.iter().enumerate() {
            match &held.entry.proof {
                Proof::Password(hash) => {
                    known.users.insert(held.entry.principal.name.clone(), index);
                    known.decoys.push(hash.decoy());
                }
                Proof::Token(token) => {
                    known.tokens.insert(token.id.clone(), index);
                }
                Proof::Certificate(subject) => {
                    known.subjects.insert(subject.clone(), index);
                }
            }
        }
        if known.decoys.is_empty() {
            known.decoys.push(PasswordHash::usual_decoy());
        }
        known.entries = entries;
        known
    }
}
