use std::{collections::HashMap, sync::Arc, time::Duration};

use parking_lot::RwLock;
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::Session;

const MOST_ENTRIES: usize = 1_024;
const LIFETIME: Duration = Duration::from_secs(5 * 60);

/// Identifies a credential without revealing it: a hash under a random key of the process.
pub(super) type CacheKey = [u8; 32];

/// Valid credentials, so that not every call hashes a password or parses a certificate
/// again.
#[derive(Debug)]
pub(super) struct Cache {
    key: [u8; 32],
    sessions: RwLock<HashMap<CacheKey, Cached>>,
}

#[derive(Debug)]
struct Cached {
    session: Arc<Session>,
    until: Instant,
}

impl Default for Cache {
    fn default() -> Self {
        Self {
            key: rand::random(),
            sessions: RwLock::default(),
        }
    }
}

impl Cache {
    /// `kind` keeps credentials of different kinds apart.
    pub(super) fn key(&self, kind: u8, credential: &[u8]) -> CacheKey {
        let hash = Sha256::new().chain_update(self.key);
        hash.chain_update([kind])
            .chain_update(credential)
            .finalize()
            .into()
    }

    pub(super) fn get(&self, key: &CacheKey) -> Option<Arc<Session>> {
        let sessions = self.sessions.read();
        let cached = sessions.get(key)?;
        (Instant::now() < cached.until).then(|| Arc::clone(&cached.session))
    }

    pub(super) fn put(&self, key: CacheKey, session: Arc<Session>) {
        let now = Instant::now();
        let mut sessions = self.sessions.write();
        if sessions.len() >= MOST_ENTRIES {
            sessions.retain(|_, cached| now < cached.until);
        }
        if sessions.len() >= MOST_ENTRIES {
            let oldest = sessions.iter().min_by_key(|(_, cached)| cached.until);
            if let Some(oldest) = oldest.map(|(key, _)| *key) {
                sessions.remove(&oldest);
            }
        }
        let until = now + LIFETIME;
        sessions.insert(key, Cached { session, until });
    }
}

#[cfg(test)]
mod tests {
    use tokio::time;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn keeps_so_many_for_so_long() {
        let cache = Cache::default();
        let session = Session::unrestricted("x");
        let key = |number: usize| cache.key(1, &number.to_le_bytes());
        for number in 0..=MOST_ENTRIES {
            time::advance(Duration::from_millis(1)).await;
            cache.put(key(number), Arc::clone(&session));
        }
        assert_eq!(cache.sessions.read().len(), MOST_ENTRIES);
        assert!(cache.get(&key(0)).is_none(), "the oldest went");
        assert!(cache.get(&key(1)).is_some());
        time::advance(LIFETIME).await;
        assert!(cache.get(&key(MOST_ENTRIES)).is_none());
        cache.put(key(0), session);
        assert_eq!(cache.sessions.read().len(), 1);
    }

    #[test]
    fn keys_depend_on_kind_and_process() {
        let (one, other) = (Cache::default(), Cache::default());
        assert_eq!(one.key(1, b"a"), one.key(1, b"a"));
        assert_ne!(one.key(1, b"a"), one.key(2, b"a"));
        assert_ne!(one.key(1, b"a"), other.key(1, b"a"));
    }
}
