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

/// How often the credentials file is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// The wall clock, an argument so that a test can own time.
pub type WallClock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

/// Settings of logins by a credentials file.
#[derive(Clone)]
pub struct LoginSettings {
    /// Wrong credentials of one IP address in a minute, on average and at once; at least 1.
    /// Beyond it no further password of that address is checked. Tokens, certificates
    /// and passwords that were checked before are let in all the same.
    pub max_failed_logins_per_minute: u32,
    /// What time it is.
    pub now: WallClock,
}

/// Why a caller is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// It shows nothing.
    #[error("there are no credentials")]
    Missing,
    /// It shows something that is not good, whatever that is.
    #[error("the credentials are not valid")]
    Invalid,
    /// Its address has shown too much that is not good.
    #[error("there were too many wrong credentials from this address")]
    TooManyFailures {
        /// When the next one is looked at.
        retry_after: Duration,
        /// How many are, in a minute.
        limit: u32,
    },
    /// Too many passwords wait to be checked.
    #[error("too many passwords are being checked")]
    Busy {
        /// When to come back.
        retry_after: Duration,
    },
}

impl From<Empty> for AuthError {
    fn from(Empty { retry_after, limit }: Empty) -> Self {
        Self::TooManyFailures { retry_after, limit }
    }
}

/// Tells callers by their credentials.
pub struct Authenticator(By);

enum By {
    Nothing(Arc<Session>),
    Token(SecretString, Arc<Session>),
    File(Box<Logins>),
}

impl Authenticator {
    /// Anybody is `anonymous`, who may do everything.
    pub fn open() -> Self {
        Self(By::Nothing(Session::of_everybody("anonymous")))
    }

    /// Whoever has this token is `local`, who may do everything.
    pub fn token(token: SecretString) -> Self {
        Self(By::Token(token, Session::of_everybody("local")))
    }

    /// Callers are known by a credentials file.
    ///
    /// # Errors
    /// If the file cannot be read, if others can, or if something in it is wrong.
    pub fn file(path: PathBuf, settings: LoginSettings) -> Result<Self, CredentialsError> {
        let logins = Logins::open(path, settings)?;
        Ok(Self(By::File(Box::new(logins))))
    }

    /// Who calls. Waits only for a password that was not checked before.
    ///
    /// # Errors
    /// If that is not known.
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
                    // On the heap, as it is large, and every call has a place for it.
                    Step::Check(check) => Box::pin(logins.finish(check)).await,
                };
                answer.inspect_err(|error| logins.tell(*error, presented.address()))
            }
        }
    }

    /// Reads the credentials file again, if there is one. What is wrong with it is
    /// logged and leaves everything as it was.
    ///
    /// # Errors
    /// If it cannot be read, or if something in it is wrong.
    pub fn reload(&self) -> Result<(), CredentialsError> {
        match &self.0 {
            By::Nothing(_) | By::Token(..) => Ok(()),
            By::File(logins) => logins.reload(),
        }
    }

    /// Ends when it has changed who may call, since this was last awaited. Only one may wait.
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

    /// Reads the credentials file again whenever it changes, and ends sessions whose
    /// time is over; both within about a second. Ends when the authenticator is dropped,
    /// and at once if there is no file.
    pub fn follow(self: &Arc<Self>) -> impl Future<Output = ()> + Send + use<> {
        let this = Arc::downgrade(self);
        async move {
            let mut ticks = time::interval(LOOK);
            ticks.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                if !Self::look(&this).await {
                    break;
                }
            }
        }
    }

    async fn look(this: &Weak<Self>) -> bool {
        let Some(this) = this.upgrade() else {
            return false;
        };
        // The file may be on a disk that hangs.
        let looked = task::spawn_blocking(move || match &this.0 {
            By::Nothing(_) | By::Token(..) => false,
            By::File(logins) => {
                logins.look();
                true
            }
        });
        looked.await.unwrap_or(true)
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
