use std::{
    collections::{HashMap, HashSet},
    hash::{BuildHasher, RandomState},
    sync::Arc,
    time::SystemTime,
};

use super::{
    Entry, PasswordHash, Proof, Role, Session, Subject, Token, TokenHash, cache::Cache,
    certificate, single_flight::SingleFlight, token,
};

/// All principals that the service knows, at one moment. A reload makes a new one, and the
/// cached checks of the old one are dropped with it.
#[derive(Debug)]
pub(super) struct Known {
    entries: Vec<Held>,
    users: HashMap<String, usize>,
    tokens: HashMap<String, usize>,
    subjects: HashMap<Subject, usize>,
    /// Hashes for unknown user names: one per user, with the hash parameters of that user.
    decoys: Vec<PasswordHash>,
    choice: RandomState,
    pub(super) cache: Cache,
    pub(super) single_flight: SingleFlight,
}

#[derive(Debug)]
pub(super) struct Held {
    pub(super) entry: Entry,
    pub(super) session: Arc<Session>,
    /// The session of the replaced token, if there is one.
    replaced: Option<Arc<Session>>,
}

impl Held {
    fn new(entry: Entry) -> Self {
        let session = |expire_time| Session::new(entry.principal.clone(), expire_time);
        let replaced = match &entry.proof {
            Proof::Token(token) => token.replaced.as_ref(),
            Proof::Password(_) | Proof::Certificate(_) => None,
        };
        Self {
            session: session(entry.expire_time()),
            replaced: replaced.map(|replaced| session(Some(replaced.expire_time))),
            entry,
        }
    }

    /// Keeps the sessions of the previous entry of the same principal if their credentials
    /// are unchanged. For the calls of a token that was replaced, only its expiry changes.
    fn continue_sessions(&mut self, old: &Self) {
        if self.entry == old.entry {
            self.session = Arc::clone(&old.session);
            self.replaced.clone_from(&old.replaced);
        } else if self.entry.principal == old.entry.principal
            && let Proof::Token(token) = &self.entry.proof
        {
            if let Some(session) = old.session_of_token(&token.id, &token.hash)
                && session.expire_time == token.expire_time
            {
                self.session = Arc::clone(session);
            }
            if let Some(replaced) = &token.replaced
                && let Some(session) = old.session_of_token(&replaced.id, &replaced.hash)
            {
                self.replaced = Some(session.until(Some(replaced.expire_time)));
            }
        }
    }

    fn session_of_token(&self, id: &str, hash: &TokenHash) -> Option<&Arc<Session>> {
        let Proof::Token(token) = &self.entry.proof else {
            return None;
        };
        if (token.id.as_str(), &token.hash) == (id, hash) {
            return Some(&self.session);
        }
        let replaced = token.replaced.as_ref()?;
        let is_it = (replaced.id.as_str(), &replaced.hash) == (id, hash);
        self.replaced.as_ref().filter(|_| is_it)
    }

    fn sessions(&self) -> impl Iterator<Item = &Arc<Session>> {
        [&self.session].into_iter().chain(&self.replaced)
    }
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
        Self::of(entries.into_iter().map(Held::new).collect())
    }

    /// As [`new`](Self::new), where credentials that are as they were keep their session.
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
                Some(old) => {
                    if old.entry != held.entry {
                        changes.changed.push(name.clone());
                    }
                    held.continue_sessions(old);
                }
            }
        }
        changes.removed = before.into_keys().map(str::to_owned).collect();
        changes.removed.sort();
        (now, changes)
    }

    /// Ends the sessions that do not go on in `now`.
    pub(super) fn end_all_but(&self, now: &Self) {
        let ended = |session: &Arc<Session>| session.id;
        let kept: HashSet<u64> = now.sessions().map(ended).collect();
        for session in self
            .sessions()
            .filter(|session| !kept.contains(&session.id))
        {
            session.ended.cancel();
        }
    }

    /// Ends the sessions that are over by this time. Answers whether there were any.
    pub(super) fn end_expired(&self, now: SystemTime) -> bool {
        let open = self
            .sessions()
            .filter(|session| !session.ended.is_cancelled());
        let expired = open.filter(|session| session.is_over(now));
        expired.map(|session| session.ended.cancel()).count() > 0
    }

    /// Names of the principals that have a role in all projects, and can call with it.
    pub(super) fn everywhere(&self, role: Role, now: SystemTime) -> HashSet<String> {
        let can_call = |held: &&Held| held.sessions().any(|session| !session.is_over(now));
        let entries = self.entries.iter().filter(can_call);
        let principals = entries.map(|held| &held.entry.principal);
        let with_role = principals.filter(|principal| principal.grants.allow_everywhere(role));
        with_role.map(|principal| principal.name.clone()).collect()
    }

    fn sessions(&self) -> impl Iterator<Item = &Arc<Session>> {
        self.entries.iter().flat_map(Held::sessions)
    }

    /// Who has this token.
    pub(super) fn by_token(&self, text: &[u8]) -> Option<&Arc<Session>> {
        let id = token::id_in(text)?;
        let held = &self.entries[*self.tokens.get(id)?];
        let Proof::Token(Token {
            id: current,
            hash,
            replaced,
            ..
        }) = &held.entry.proof
        else {
            return None;
        };
        if current == id {
            return hash.matches(text).then_some(&held.session);
        }
        let replaced = replaced.as_ref()?;
        held.replaced
            .as_ref()
            .filter(|_| replaced.hash.matches(text))
    }

    /// Who has this certificate. Alternative names count before the common name; if
    /// several principals are named, it belongs to none.
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
    /// For an unknown name it is a decoy that no password matches. The name alone decides
    /// which decoy, so that an unknown name consistently takes as long as a known one.
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
                    if let Some(replaced) = &token.replaced {
                        known.tokens.insert(replaced.id.clone(), index);
                    }
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
