use std::{collections::HashSet, net::IpAddr, path::PathBuf, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::{private_file::FileIdentity, telemetry::LogThrottle};

use super::{
    AuthError, CredentialsError, CredentialsFile, LoginSettings, Presented, Role, Session,
    cache::CacheKey,
    failures::{Failures, Of},
    known::Known,
    presented::{Login, Shown},
    verifier::Verifier,
};

/// The retry delay for callers that are refused because too many passwords are checked.
const BUSY: Duration = Duration::from_secs(1);
/// Kinds of credentials in the cache.
const PASSWORD: u8 = 1;
const CERTIFICATE: u8 = 2;

/// Authenticates callers by a credentials file.
pub(super) struct Logins {
    file: CredentialsFile,
    /// The file when it was last read, with or without success; none if it was missing. Locked
    /// during a reload, so that an older reading never replaces a newer one.
    seen: Mutex<Option<FileIdentity>>,
    pub(super) known: ArcSwap<Known>,
    pub(super) verifier: Verifier,
    failures: Failures,
    told: Mutex<LogThrottle>,
    /// Notified when principals or roles change.
    pub(super) changed: Notify,
    settings: LoginSettings,
}

/// An immediate result, or a password that has to be checked.
pub(super) enum Step {
    Done(Result<Arc<Session>, AuthError>),
    Check(Check),
}

pub(super) struct Check {
    known: Arc<Known>,
    key: CacheKey,
    login: Login,
    address: Option<IpAddr>,
}

impl Logins {
    /// Loads the file.
    pub(super) fn open(path: PathBuf, settings: LoginSettings) -> Result<Self, CredentialsError> {
        let file = CredentialsFile::new(path);
        let (entries, identity) = file.read()?;
        Ok(Self {
            file,
            seen: Mutex::new(Some(identity)),
            known: ArcSwap::from_pointee(Known::new(entries)),
            verifier: Verifier::default(),
            failures: Failures::new(settings.max_failed_logins_per_minute),
            told: Mutex::default(),
            changed: Notify::new(),
            settings,
        })
    }

    /// Warns operators of possible guessing. Logs nothing that the caller sent.
    pub(super) fn tell(&self, error: AuthError, address: Option<IpAddr>) {
        if error == AuthError::Missing {
            return;
        }
        if let Some(before) = self.told.lock().now() {
            let address = address.map(|address| address.to_string());
            tracing::warn!(%error, address, before, "refused a caller");
        }
    }

    /// Does what takes no time. Never waits.
    pub(super) fn begin(&self, presented: Presented<'_>) -> Step {
        let known = self.known.load();
        let address = presented.address();
        let done = match presented.shown() {
            Shown::Nothing => Err(AuthError::Missing),
            Shown::Bearer(token) => match self.by_token(&known, token) {
                Some(session) => Ok(session),
                None => self.refuse(Of::Other, address),
            },
            Shown::Certificate(der) => {
                let key = known.cache.key(CERTIFICATE, der);
                let session = known.cache.get(&key).or_else(|| {
                    let session = known.by_certificate(der, (self.settings.now)())?;
                    known.cache.put(key, Arc::clone(session));
                    Some(Arc::clone(session))
                });
                session.ok_or(AuthError::Invalid)
            }
            Shown::Other => self.refuse(Of::Other, address),
            Shown::Basic(encoded) => {
                let key = known.cache.key(PASSWORD, encoded);
                match known.cache.get(&key).map(Ok) {
                    Some(session) => session,
                    None => match Login::read(encoded) {
                        None => self.refuse(Of::Password, address),
                        Some(login) => {
                            return Step::Check(Check {
                                known: Arc::clone(&known),
                                key,
                                login,
                                address,
                            });
                        }
                    },
                }
            }
        };
        Step::Done(done)
    }

    /// Checks a password, or waits for the check of the same one by another call.
    pub(super) async fn finish(&self, check: Check) -> Result<Arc<Session>, AuthError> {
        let known = Arc::clone(&check.known);
        let key = check.key;
        known.single_flight.join(key, || self.check(check)).await
    }

    /// Unknown names take the same path as known ones.
    async fn check(&self, check: Check) -> Result<Arc<Session>, AuthError> {
        // Calls that began before the check ended, and continue after it, find its result here.
        if let Some(session) = check.known.cache.get(&check.key) {
            return Ok(session);
        }
        let place = self.failures.take(Of::Password, check.address);
        let place = place.map_err(AuthError::from)?;
        let (hash, session) = check.known.by_name(&check.login.user);
        let Ok(matches) = self.verifier.matches(hash, check.login.password).await else {
            self.failures.give_back(place);
            return Err(AuthError::Busy { retry_after: BUSY });
        };
        match session {
            // The file may have changed in the meantime.
            Some(session) if matches && self.is_good(session) => {
                self.failures.give_back(place);
                check.known.cache.put(check.key, Arc::clone(session));
                Ok(Arc::clone(session))
            }
            _ => Err(AuthError::Invalid),
        }
    }

    /// The session of this token, by the entries of a moment ago. A reload since then may have
    /// ended the session of a token that is still valid.
    pub(super) fn by_token(&self, known: &Arc<Known>, token: &[u8]) -> Option<Arc<Session>> {
        let good = |known: &Known| {
            let session = known.by_token(token)?;
            self.is_good(session).then(|| Arc::clone(session))
        };
        good(known).or_else(|| {
            let now = self.known.load();
            (!Arc::ptr_eq(known, &now)).then(|| good(&now)).flatten()
        })
    }

    /// Names of the principals that have a role in all projects.
    pub(super) fn everywhere(&self, role: Role) -> HashSet<String> {
        self.known.load().everywhere(role, (self.settings.now)())
    }

    fn is_good(&self, session: &Session) -> bool {
        !session.is_over((self.settings.now)())
    }

    fn refuse(&self, of: Of, address: Option<IpAddr>) -> Result<Arc<Session>, AuthError> {
        self.failures.take(of, address)?;
        Err(AuthError::Invalid)
    }

    /// Reloads the file if it has changed, and ends expired sessions.
    pub(super) fn refresh(&self) {
        let is_seen = *self.seen.lock() == self.file.identity();
        if !is_seen {
            // Errors are logged.
            let _ = self.reload();
        }
        if self.known.load().end_expired((self.settings.now)()) {
            self.changed.notify_one();
        }
    }

    /// Reloads the file. If it has errors, the entries from before stay in effect.
    pub(super) fn reload(&self) -> Result<(), CredentialsError> {
        let mut seen = self.seen.lock();
        let path = self.file.path().display();
        // The identity from before the read: if an editor is still writing, the identity
        // changes later, and the whole file is read then.
        let before = self.file.identity();
        let (entries, identity) = match self.file.read() {
            Ok(read) => read,
            Err(error) => {
                *seen = before;
                tracing::error!(%path, %error, "the credentials stay as they were");
                return Err(error);
            }
        };
        *seen = Some(identity);
        let old = self.known.load_full();
        let (new, changes) = old.after(entries);
        let new = Arc::new(new);
        // First stop accepting the old entries, then end the sessions that they opened.
        self.known.store(Arc::clone(&new));
        old.end_all_but(&new);
        self.changed.notify_one();
        tracing::info!(
            %path,
            added = changes.added.join(" "),
            removed = changes.removed.join(" "),
            changed = changes.changed.join(" "),
            "read the credentials again"
        );
        Ok(())
    }
}
