use std::{
    collections::HashSet,
    fmt,
    future::{self, Future},
    path::PathBuf,
    sync::{Arc, Weak},
    time::{Duration, SystemTime},
};

use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;
use tokio::{task, time};

use super::{
    CredentialsError, Presented, Role, Session,
    failures::Empty,
    logins::{Logins, Step},
    presented::Shown,
};

/// How often the credentials file is checked for changes.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// The wall clock, an argument so that a test can own time.
pub type WallClock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

/// Settings of logins by a credentials file.
#[derive(Clone)]
pub struct LoginSettings {
    /// Wrong credentials per IP address and minute, both as rate and as burst; at least 1.
    /// Beyond it no further password of that address is checked. Tokens, certificates and
    /// passwords that were checked earlier are still accepted.
    pub max_failed_logins_per_minute: u32,
    pub now: WallClock,
}

/// Why a caller could not be authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    #[error("there are no credentials")]
    Missing,
    /// Whatever is wrong with them: callers get no details.
    #[error("the credentials are not valid")]
    Invalid,
    /// Its address has exceeded the limit of wrong credentials.
    #[error("there were too many wrong credentials from this address")]
    TooManyFailures {
        /// Time until the next one is checked.
        retry_after: Duration,
        /// Wrong credentials per minute that are allowed.
        limit: u32,
    },
    /// Too many passwords wait to be checked.
    #[error("too many passwords are being checked")]
    Busy { retry_after: Duration },
}

impl From<Empty> for AuthError {
    fn from(Empty { retry_after, limit }: Empty) -> Self {
        Self::TooManyFailures { retry_after, limit }
    }
}

/// Authenticates callers by their credentials.
pub struct Authenticator(By);

enum By {
    Nothing(Arc<Session>),
    Token(SecretString, Arc<Session>),
    File(Box<Logins>),
}

impl Authenticator {
    /// Without credentials: every caller is `anonymous` and has all roles.
    pub fn open() -> Self {
        Self(By::Nothing(Session::unrestricted("anonymous")))
    }

    /// The bearer of this token is `local` and has all roles.
    pub fn token(token: SecretString) -> Self {
        Self(By::Token(token, Session::unrestricted("local")))
    }

    /// Authenticates callers by a credentials file.
    ///
    /// # Errors
    /// If the file cannot be read, if other users can, or if it is not valid.
    pub fn file(path: PathBuf, settings: LoginSettings) -> Result<Self, CredentialsError> {
        let logins = Logins::open(path, settings)?;
        Ok(Self(By::File(Box::new(logins))))
    }

    /// Authenticates the caller. Waits only for a password that was not checked before.
    ///
    /// # Errors
    /// If the credentials are missing or not valid, or if a limit is exceeded.
    pub async fn authenticate(&self, presented: Presented<'_>) -> Result<Arc<Session>, AuthError> {
        match &self.0 {
            By::Nothing(session) => Ok(Arc::clone(session)),
            By::Token(token, session) => match presented.shown() {
                Shown::Nothing => Err(AuthError::Missing),
                Shown::Bearer(sent) if is_same(sent, token) => Ok(Arc::clone(session)),
                _ => Err(AuthError::Invalid),
            },
            By::File(logins) => {
                let answer = match logins.begin(presented) {
                    Step::Done(answer) => answer,
                    // On the heap: it is large, and every call would reserve the space.
                    Step::Check(check) => Box::pin(logins.finish(check)).await,
                };
                answer.inspect_err(|error| logins.tell(*error, presented.address()))
            }
        }
    }

    /// Reloads the credentials file, if there is one. Errors are logged, and the entries from
    /// before stay in effect.
    ///
    /// # Errors
    /// If it cannot be read or is not valid.
    pub fn reload(&self) -> Result<(), CredentialsError> {
        match &self.0 {
            By::Nothing(_) | By::Token(..) => Ok(()),
            By::File(logins) => logins.reload(),
        }
    }

    /// Waits until principals or roles have changed since the last call. For a single waiter.
    pub async fn changed(&self) {
        match &self.0 {
            By::Nothing(_) | By::Token(..) => future::pending().await,
            By::File(logins) => logins.changed.notified().await,
        }
    }

    /// Names of the principals that can call with a role in all projects; none if every
    /// caller can.
    pub fn everywhere(&self, role: Role) -> Option<HashSet<String>> {
        match &self.0 {
            By::Nothing(_) | By::Token(..) => None,
            By::File(logins) => Some(logins.everywhere(role)),
        }
    }

    /// Reloads the credentials file whenever it changes, and ends expired sessions; both
    /// within about a second. Ends when the authenticator is dropped,
    /// and immediately if there is no file.
    pub fn follow(self: &Arc<Self>) -> impl Future<Output = ()> + Send + use<> {
        let this = Arc::downgrade(self);
        async move {
            let mut ticks = time::interval(CHECK_INTERVAL);
            ticks.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                if !Self::refresh(&this).await {
                    break;
                }
            }
        }
    }

    async fn refresh(this: &Weak<Self>) -> bool {
        let Some(this) = this.upgrade() else {
            return false;
        };
        // The file may be on a disk that hangs.
        let refreshed = task::spawn_blocking(move || match &this.0 {
            By::Nothing(_) | By::Token(..) => false,
            By::File(logins) => {
                logins.refresh();
                true
            }
        });
        refreshed.await.unwrap_or(true)
    }

    #[cfg(test)]
    pub(super) fn logins(&self) -> &Logins {
        match &self.0 {
            By::File(logins) => logins,
            By::Nothing(_) | By::Token(..) => panic!("there is no file"),
        }
    }
}

fn is_same(sent: &[u8], token: &SecretString) -> bool {
    sent.ct_eq(token.expose_secret().as_bytes()).into()
}

impl fmt::Debug for Authenticator {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self.0 {
            By::Nothing(_) => "Authenticator(open)",
            By::Token(..) => "Authenticator(token)",
            By::File(_) => "Authenticator(file)",
        })
    }
}
