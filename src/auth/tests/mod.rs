//! Authentication by a credentials file, from the file to the session.

mod callers;
mod limits;
mod reloads;

use std::{
    fs,
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    sync::{Arc, atomic::Ordering},
    time::{Duration, SystemTime},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use parking_lot::Mutex;
use secrecy::ExposeSecret;
use tempfile::TempDir;

use super::*;

type Answer = Result<Arc<Session>, AuthError>;

/// An authenticator with its file and its own clock.
struct World {
    authenticator: Arc<Authenticator>,
    path: PathBuf,
    now: Arc<Mutex<SystemTime>>,
    _directory: TempDir,
}

impl World {
    fn new(text: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("credentials.toml");
        let now = Arc::new(Mutex::new(start()));
        write(&path, text);
        let clock = Arc::clone(&now);
        let settings = LoginSettings {
            max_failed_logins_per_minute: 3,
            now: Arc::new(move || *clock.lock()),
        };
        let authenticator = Authenticator::file(path.clone(), settings).unwrap();
        Self {
            authenticator: Arc::new(authenticator),
            path,
            now,
            _directory: directory,
        }
    }

    fn rewrite(&self, text: &str) {
        write(&self.path, text);
    }

    fn advance(&self, time: Duration) {
        *self.now.lock() += time;
    }

    async fn ask(&self, header: &str, peer: &Peer) -> Answer {
        let presented = Presented {
            authorization: Some(header.as_bytes()),
            peer: Some(peer),
        };
        self.authenticator.authenticate(presented).await
    }

    async fn bearer(&self, token: &str) -> Answer {
        self.ask(&format!("Bearer {token}"), &peer(1)).await
    }

    async fn basic(&self, user: &str, password: &str) -> Answer {
        self.basic_from(user, password, 1).await
    }

    async fn basic_from(&self, user: &str, password: &str, from: u8) -> Answer {
        let encoded = BASE64_STANDARD.encode(format!("{user}:{password}"));
        self.ask(&format!("Basic {encoded}"), &peer(from)).await
    }

    /// How many passwords were hashed.
    fn runs(&self) -> usize {
        let verifier = &self.authenticator.logins().verifier;
        verifier.runs.load(Ordering::Relaxed)
    }
}

fn start() -> SystemTime {
    humantime::parse_rfc3339("2026-11-21T10:00:00Z").unwrap()
}

/// Replaces the file as the commands do.
fn write(path: &std::path::Path, text: &str) {
    let new = path.with_extension("new");
    fs::write(&new, text).unwrap();
    fs::set_permissions(&new, fs::Permissions::from_mode(0o600)).unwrap();
    fs::rename(new, path).unwrap();
}

fn peer(last: u8) -> Peer {
    Peer {
        address: SocketAddr::from(([10, 0, 0, last], 1)),
        certificate: None,
    }
}

fn user(name: &str, password: &str) -> String {
    let hash = PasswordHash::weak(password).text();
    format!(
        "[[users]]\nname = \"{name}\"\npassword = \"{hash}\"\nroles = {{ \"*\" = \"viewer\" }}\n"
    )
}

/// An entry, and its token.
fn token(name: &str, more: &str) -> (String, String) {
    let new = NewToken::random();
    let (id, hash) = (&new.id, new.hash.text());
    let entry = format!(
        "[[tokens]]\nname = \"{name}\"\nid = \"{id}\"\nsha256 = \"{hash}\"\n{more}\n\
         roles = {{ \"*\" = \"viewer\" }}\n"
    );
    (entry, new.text.expose_secret().to_owned())
}

fn name(answer: Answer) -> Result<String, AuthError> {
    answer.map(|session| session.principal.name.clone())
}

fn known(name: &str) -> Result<String, AuthError> {
    Ok(name.to_owned())
}
