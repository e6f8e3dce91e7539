use std::{sync::Arc, thread};

use secrecy::{ExposeSecret, SecretSlice};
use tokio::{sync::Semaphore, task};

use super::PasswordHash;

/// Passwords that may wait for a check, in addition to those that are being checked.
const MOST_WAITING: usize = 64;

/// Checks passwords; each check takes tens of milliseconds and 19 MiB. They run on their
/// own threads, few at a time, so that wrong passwords cannot starve the service.
#[derive(Debug)]
pub(super) struct Verifier {
    places: Semaphore,
    running: Arc<Semaphore>,
    #[cfg(test)]
    pub(super) runs: std::sync::atomic::AtomicUsize,
}

/// Too many checks wait already.
#[derive(Debug)]
pub(super) struct Full;

impl Default for Verifier {
    /// Uses at most half of the processors, and leaves the rest to the service.
    fn default() -> Self {
        let processors = thread::available_parallelism().map_or(1, usize::from);
        Self::with_threads((processors / 2).max(1))
    }
}

impl Verifier {
    fn with_threads(threads: usize) -> Self {
        Self {
            places: Semaphore::new(threads + MOST_WAITING),
            running: Arc::new(Semaphore::new(threads)),
            #[cfg(test)]
            runs: Default::default(),
        }
    }

    /// Whether the password matches the hash.
    pub(super) async fn matches(
        &self,
        hash: PasswordHash,
        password: SecretSlice<u8>,
    ) -> Result<bool, Full> {
        let _place = self.places.try_acquire().map_err(|_| Full)?;
        let running = Arc::clone(&self.running).acquire_owned().await;
        let running = running.expect("the semaphore is never closed");
        #[cfg(test)]
        self.runs.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let checking = task::spawn_blocking(move || {
            // Held by the thread and not by the call: a caller that disconnects does not
            // free the permit while the check still runs.
            let _running = running;
            hash.matches(password.expose_secret())
        });
        Ok(checking.await.unwrap_or(false))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;

    use super::*;

    #[tokio::test]
    async fn only_so_many_wait() {
        let verifier = Verifier::with_threads(1);
        let hold = Arc::clone(&verifier.running).acquire_owned().await.unwrap();
        let hash = PasswordHash::usual_decoy();
        let check = || verifier.matches(hash.clone(), vec![1].into());
        let mut waiting: Vec<_> = (0..=MOST_WAITING).map(|_| Box::pin(check())).collect();
        for one in &mut waiting {
            assert!(futures_util::poll!(one).is_pending());
        }
        assert!(check().await.is_err());
        waiting.truncate(2);
        drop(hold);
        for answer in join_all(waiting).await {
            assert!(!answer.unwrap());
        }
        assert!(check().await.is_ok());
    }
}
