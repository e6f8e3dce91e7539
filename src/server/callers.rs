//! Authentication of callers, and reloads of its files.

use std::{net::SocketAddr, sync::Arc};

use tokio::{sync::Notify, task::spawn_blocking};

use crate::{
    auth::{Authenticator, CredentialsError, LoginSettings, Role},
    config::{Access, Config},
    engine::{Clock, Engine},
    http::Certificates,
};

/// The authenticator of the settings.
pub(super) fn authenticator(
    config: &Config,
    clock: &Arc<dyn Clock>,
) -> Result<Arc<Authenticator>, CredentialsError> {
    Ok(Arc::new(match &config.access {
        Access::Open => Authenticator::open(),
        Access::Token(token) => Authenticator::token(token.clone()),
        Access::File(path) => {
            let clock = Arc::clone(clock);
            let settings = LoginSettings {
                max_failed_logins_per_minute: config.limits.max_failed_logins_per_minute,
                now: Arc::new(move || clock.now()),
            };
            Authenticator::file(path.clone(), settings)?
        }
    }))
}

/// The accepted callers, for the log line at the start.
pub(super) fn callers(access: &Access) -> &'static str {
    match access {
        Access::Open => "anybody who reaches this address, without credentials",
        Access::Token(_) => "one, by a token",
        Access::File(_) => "those with credentials",
    }
}

/// Warns if passwords and tokens can be read on the network.
pub(super) fn warn_of_clear_text(access: &Access, address: SocketAddr, is_encrypted: bool) {
    let is_shown = !matches!(access, Access::Open) && !is_encrypted;
    if is_shown && !address.ip().is_loopback() {
        tracing::warn!(
            "credentials are sent over the network in plaintext, unless a proxy in front of this \
             service encrypts them; set tls_certificate and tls_key"
        );
    }
}

/// Reloads credentials and certificates at each notification. Each logs its own errors, and
/// then keeps what it has.
pub(super) fn reload(
    told: Arc<Notify>,
    authenticator: &Arc<Authenticator>,
    certificates: &Option<Arc<Certificates>>,
) -> impl Future<Output = ()> + use<> {
    let (authenticator, certificates) = (Arc::clone(authenticator), certificates.clone());
    async move {
        loop {
            told.notified().await;
            tracing::info!("reading credentials and certificates again");
            let (authenticator, certificates) = (Arc::clone(&authenticator), certificates.clone());
            let read = move || {
                let _ = authenticator.reload();
                if let Some(Err(error)) = certificates.map(|files| files.reload()) {
                    tracing::error!(%error, "keeping the certificate in use");
                }
            };
            let _ = spawn_blocking(read).await;
        }
    }
}

/// Shows a runner as offline as soon as its credentials are revoked or have expired.
pub(super) fn dismiss_runners(
    authenticator: &Arc<Authenticator>,
    engine: &Arc<Engine>,
) -> impl Future<Output = ()> + use<> {
    let (authenticator, engine) = (Arc::clone(authenticator), Arc::clone(engine));
    async move {
        loop {
            authenticator.changed().await;
            let runners = authenticator.everywhere(Role::Runner);
            let may_run = |name: &str| runners.as_ref().is_none_or(|names| names.contains(name));
            if let Err(error) = engine.runners().dismiss(&may_run).await {
                tracing::error!(%error, "cannot show runners without credentials as offline");
            }
        }
    }
}
