//! The certificate in use, which follows its files.

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

const LOOK_EVERY: Duration = Duration::from_secs(1);
const REMIND_EVERY: Duration = Duration::from_secs(24 * 60 * 60);

/// The certificate, its key and the authorities of clients, as they were last read.
/// Those who connect get what is current; open connections keep what they began with.
pub struct Certificates {
    files: Tls,
    /// As the files were just before they were first read.
    first: Stamp,
    current: ArcSwap<Loaded>,
    /// Held through a reading, so that an older one never replaces a newer one.
    reading: Mutex<()>,
}

impl Certificates {
    /// Reads the files.
    ///
    /// # Errors
    /// If one cannot be used.
    pub fn load(files: Tls) -> Result<Self, TlsError> {
        let first = Stamp::of(&files);
        let loaded = tls::load(&files)?;
        expiry::warn(loaded.ends, SystemTime::now());
        Ok(Self {
            files,
            first,
            current: ArcSwap::from_pointee(loaded),
            reading: Mutex::default(),
        })
    }

    /// Reads the files again, whether or not they changed.
    ///
    /// # Errors
    /// If one cannot be used: what was read before stays in use.
    pub fn reload(&self) -> Result<(), TlsError> {
        let _alone = self.reading.lock();
        let loaded = tls::load(&self.files)?;
        expiry::warn(loaded.ends, SystemTime::now());
        self.current.store(Arc::new(loaded));
        tracing::info!("using the certificate that was read again");
        Ok(())
    }

    /// Follows the files, for ever.
    pub(super) async fn follow(self: Arc<Self>) {
        let mut tried = self.first.clone();
        let mut reminded = time::Instant::now();
        loop {
            let files = Arc::clone(&self);
            let followed = task::spawn_blocking(move || files.follow_once(tried)).await;
            let Ok(followed) = followed else {
                return;
            };
            tried = followed;
            if reminded.elapsed() >= REMIND_EVERY {
                reminded = time::Instant::now();
                expiry::warn(self.current.load().ends, SystemTime::now());
            }
            time::sleep(LOOK_EVERY).await;
        }
    }

    /// Reads the files again if they are not as they were when it was last tried.
    fn follow_once(&self, tried: Stamp) -> Stamp {
        // Before the files are read: a change in between is seen the next time.
        let stamp = Stamp::of(&self.files);
        if stamp != tried
            && let Err(error) = self.reload()
        {
            tracing::error!(%error, "the certificate changed; keeping the one in use");
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
    fn what_cannot_be_used_leaves_what_is_in_use() {
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
