//! The certificate in use. It is reloaded when its files change.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::{task, time};
use tokio_rustls::TlsAcceptor;

use crate::config::Tls;

use super::{
    expiry,
    tls::{self, Loaded, Stamp, TlsError},
};

const POLL_INTERVAL: Duration = Duration::from_secs(1);
const EXPIRY_WARNING_INTERVAL: Duration = Duration::from_secs(24 * 60 * 60);

/// The certificate, its key and the client CA, as they were last read. New connections
/// use the current ones; open connections keep those they began with.
pub struct Certificates {
    files: Tls,
    /// The files' metadata just before they were first read.
    first: Stamp,
    current: ArcSwap<Loaded>,
    /// Held during a reload, so that an older version never replaces a newer one.
    reloading: Mutex<()>,
}

impl Certificates {
    /// # Errors
    /// If a file cannot be used.
    pub fn load(files: Tls) -> Result<Self, TlsError> {
        let first = Stamp::of(&files);
        let loaded = tls::load(&files)?;
        expiry::warn(loaded.ends, SystemTime::now());
        Ok(Self {
            files,
            first,
            current: ArcSwap::from_pointee(loaded),
            reloading: Mutex::default(),
        })
    }

    /// Reads the files again, whether or not they changed.
    ///
    /// # Errors
    /// If a file cannot be used. The previous certificate stays in use.
    pub fn reload(&self) -> Result<(), TlsError> {
        let _guard = self.reloading.lock();
        let loaded = tls::load(&self.files)?;
        expiry::warn(loaded.ends, SystemTime::now());
        self.current.store(Arc::new(loaded));
        tracing::info!("reloaded the certificate");
        Ok(())
    }

    /// Polls the files and reloads them when they change. Runs until it is dropped.
    pub(super) async fn follow(self: Arc<Self>) {
        let mut tried = self.first.clone();
        let mut warned = time::Instant::now();
        loop {
            let files = Arc::clone(&self);
            let followed = task::spawn_blocking(move || files.follow_once(tried)).await;
            let Ok(followed) = followed else {
                return;
            };
            tried = followed;
            if warned.elapsed() >= EXPIRY_WARNING_INTERVAL {
                warned = time::Instant::now();
                expiry::warn(self.current.load().ends, SystemTime::now());
            }
            time::sleep(POLL_INTERVAL).await;
        }
    }

    /// Reloads the files if they changed since the last attempt, whose stamp is `tried`.
    fn follow_once(&self, tried: Stamp) -> Stamp {
        // Taken before the files are read: the next poll sees a change in between.
        let stamp = Stamp::of(&self.files);
        if stamp != tried
            && let Err(error) = self.reload()
        {
            tracing::error!(%error, "cannot reload the changed certificate; keeping the one in use");
        }
        stamp
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.current.load().config))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn an_invalid_file_keeps_the_certificate_in_use() {
        let directory = tempfile::tempdir().unwrap();
        let files = Tls {
            certificate: directory.path().join("cert.pem"),
            key: directory.path().join("key.pem"),
            client_ca: None,
            require_client_certificate: false,
        };
        let renew = || {
            let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
            fs::write(&files.certificate, made.cert.pem()).unwrap();
            let key = tempfile::NamedTempFile::new_in(&directory).unwrap();
            fs::write(&key, made.signing_key.serialize_pem()).unwrap();
            key.persist(&files.key).unwrap();
        };
        renew();
        let certificates = Certificates::load(files.clone()).unwrap();
        let current = || Arc::clone(&certificates.current.load().config);
        let first = current();
        let tried = certificates.follow_once(certificates.first.clone());
        assert!(Arc::ptr_eq(&first, &current()), "nothing changed");

        fs::write(&files.certificate, "nonsense").unwrap();
        certificates.reload().unwrap_err();
        let tried = certificates.follow_once(tried);
        assert!(Arc::ptr_eq(&first, &current()));
        renew();
        certificates.follow_once(tried);
        assert!(!Arc::ptr_eq(&first, &current()));
    }
}
