//! The accept loop. Nothing that a client does may block or end it.

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

/// Pause after a failed accept: the missing resource, such as a file descriptor, becomes
/// free when other connections end.
const PAUSE: Duration = Duration::from_millis(50);

/// The settings of a listener and its connections.
pub struct Settings {
    pub limits: Limits,
    /// Files that stages and logs may need to have open: connections leave room for them.
    pub reserved_files: u64,
    /// Allowed hosts and origins.
    pub http: Http,
    /// Whether the service accepts calls without credentials.
    pub is_open: bool,
    /// Without it, connections are not encrypted.
    pub certificates: Option<Arc<Certificates>>,
    /// Encodes a refusal of this layer as a gRPC response.
    pub refuse: Refuse,
    /// The result of the readiness probe.
    pub ready: watch::Receiver<bool>,
    /// The metrics page.
    pub metrics: Option<Page>,
}

/// Serves on a listener until `close` completes, then until every open connection has
/// ended. Dropping this future cuts off the connections.
pub async fn serve<S>(
    listener: TcpListener,
    settings: Settings,
    calls: S,
    close: impl Future<Output = ()>,
) where
    S: Calls,
{
    let places = open_files::places(settings.limits.max_connections, settings.reserved_files);
    let follow = settings.certificates.clone();
    let _follow = follow.map(|files| AbortOnDropHandle::new(tokio::spawn(files.follow())));
    let admission = Admission::new(&settings.limits, places);
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
            Err(error) if affects_one_connection(&error) => {}
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

/// Whether only this connection failed, because the client closed it before it was
/// accepted. Such an error needs no pause and no log line.
fn affects_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted
    )
}
