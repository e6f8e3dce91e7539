//! The accept loop, which nothing that a client does may hold up or end.

use std::{io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time,
};
use tokio_util::task::AbortOnDropHandle;

use crate::{
    config::{Http, Limits},
    telemetry::LogThrottle,
};

use super::{
    admission::{Admission, Verdict},
    certificates::Certificates,
    connection::{self, Accepted, Shared},
    host::Hosts,
    open_files,
    origin::Origins,
    plain::{Page, Plain},
    protocol,
    refusal::Refuse,
    router::{Calls, Router},
};

/// Pause after a failed accept: what it lacks, such as files, comes back with the end
/// of other connections.
const PAUSE: Duration = Duration::from_millis(50);

/// What the connections of a listener are held to.
pub struct Settings {
    /// How many there may be and how long they may take.
    pub limits: Limits,
    /// Names and origins.
    pub http: Http,
    /// Whether anybody may call, without credentials.
    pub is_open: bool,
    /// The certificate; connections are not encrypted without.
    pub certificates: Option<Arc<Certificates>>,
    /// Says refusals of this layer in gRPC.
    pub refuse: Refuse,
    /// Whether the service wants requests.
    pub ready: watch::Receiver<bool>,
    /// The page of metrics.
    pub metrics: Option<Page>,
}

/// Serves on a listener until `close` ends and every connection after it. Connections
/// are cut off when this is dropped.
pub async fn serve<S>(
    listener: TcpListener,
    settings: Settings,
    calls: S,
    close: impl Future<Output = ()>,
) where
    S: Calls,
{
    open_files::allow_connections(settings.limits.max_connections);
    let follow = settings.certificates.clone();
    let _follow = follow.map(|files| AbortOnDropHandle::new(tokio::spawn(files.follow())));
    let admission = Admission::new(&settings.limits);
    let shared = Arc::new(shared(settings, calls));
    let (closing, closes) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut failures = LogThrottle::default();
    let mut close = pin!(close);
    loop {
        let accepted = tokio::select! {
            () = &mut close => break,
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok(accepted) => {
                if let Some(accepted) = admit(&admission, accepted) {
                    let shared = Arc::clone(&shared);
                    connections.spawn(connection::serve(shared, accepted, closes.clone()));
                }
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                if let Some(before) = failures.now() {
                    tracing::error!(%error, before, "cannot accept connections");
                }
                time::sleep(PAUSE).await;
            }
        }
    }
    drop(listener);
    closing.send_replace(true);
    while connections.join_next().await.is_some() {}
}

fn shared<S>(settings: Settings, calls: S) -> Shared<S> {
    let router = Router {
        calls,
        hosts: Hosts::new(&settings.http.allowed_hosts, settings.is_open),
        origins: Origins::new(&settings.http.allowed_origins),
        plain: Plain {
            ready: settings.ready,
            metrics: settings.metrics,
        },
        refuse: settings.refuse,
    };
    Shared {
        builder: protocol::builder(&settings.limits),
        router: Arc::new(router),
        certificates: settings.certificates,
        limits: settings.limits,
    }
}

fn admit(
    admission: &Arc<Admission>,
    (stream, address): (TcpStream, SocketAddr),
) -> Option<Accepted> {
    let (refusal, guard) = match admission.admit(address.ip()) {
        Verdict::Admitted(guard) => (None, guard),
        Verdict::Refused(refusal, guard) => (Some(refusal), guard),
        Verdict::Dropped => return None,
    };
    Some(Accepted {
        stream,
        address,
        refusal,
        guard,
    })
}

/// A connection that was gone before it was accepted is nobody's loss.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted
    )
}
