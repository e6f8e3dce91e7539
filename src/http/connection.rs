//! The lifecycle of one connection.

use std::{
    convert::Infallible,
    future::pending,
    io,
    net::SocketAddr,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use http::{Request, Response};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper_util::{rt::TokioIo, server::conn::auto::Builder};
use tokio::{
    net::TcpStream,
    sync::{Notify, watch},
    time,
};

use crate::{auth::Peer, config::Limits};

use super::{
    admission::Guard,
    certificates::Certificates,
    deferred::Deferred,
    inline::Inline,
    refusal::Refusal,
    response::AnyBody,
    router::{Calls, ResponseFuture, Router},
    socket::{self, Socket},
};

/// How long a refused connection may stay open to receive the refusal.
const REFUSAL_TIME: Duration = Duration::from_secs(2);
/// Bytes of a refused request's body that are read. A close with unread data would reset
/// the connection before the client reads the refusal.
const REFUSED_BODY: usize = 64 * 1024;

/// State shared by all connections.
pub(super) struct Shared<S> {
    pub(super) builder: Builder<Inline>,
    pub(super) router: Arc<Router<S>>,
    pub(super) certificates: Option<Arc<Certificates>>,
    pub(super) limits: Limits,
}

pub(super) struct Accepted {
    pub(super) stream: TcpStream,
    pub(super) address: SocketAddr,
    /// If set, every request gets this refusal.
    pub(super) refusal: Option<Refusal>,
    /// Keeps the connection counted.
    pub(super) guard: Guard,
}

/// Serves a connection until its client ends it. Once `closing` is true, no new calls are
/// accepted and the connection ends after its open calls.
pub(super) async fn serve<S>(
    shared: Arc<Shared<S>>,
    accepted: Accepted,
    mut closing: watch::Receiver<bool>,
) where
    S: Calls,
{
    let Accepted {
        stream,
        address,
        refusal,
        guard: _guard,
    } = accepted;
    let is_refused = refusal.is_some();
    let end_refused = async {
        if is_refused {
            time::sleep(REFUSAL_TIME).await;
        } else {
            pending::<()>().await;
        }
    };
    let mut end_refused = pin!(end_refused);
    let opened = tokio::select! {
        opened = open(&shared, stream, address) => opened,
        () = &mut end_refused => return,
        _ = closing.wait_for(|closing| *closing) => return,
    };
    let (socket, peer) = match opened {
        Ok(opened) => opened,
        Err(error) => return tracing::debug!(%address, %error, "connection not opened"),
    };
    let first = Arc::new(FirstRequest::default());
    let session = Session {
        router: Arc::clone(&shared.router),
        peer,
        refusal,
        first: Arc::clone(&first),
    };
    let io = TokioIo::new(Deferred::new(socket));
    let mut connection = pin!(shared.builder.serve_connection(io, session));
    let mut too_late = pin!(time::sleep(shared.limits.request_timeout));
    let (mut awaits_request, mut is_open) = (true, true);
    loop {
        tokio::select! {
            biased;
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%address, error, "connection ended");
                }
                return;
            }
            () = first.arrived.notified(), if awaits_request => {
                awaits_request = false;
                if is_refused {
                    connection.as_mut().graceful_shutdown();
                }
            }
            () = &mut too_late, if awaits_request => {
                return tracing::debug!(%address, "connection closed: no request arrived in time");
            }
            () = &mut end_refused => return,
            _ = closing.wait_for(|closing| *closing), if is_open => {
                is_open = false;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}

/// Sets the socket options and does the TLS handshake, if there is a certificate.
async fn open<S>(
    shared: &Shared<S>,
    stream: TcpStream,
    address: SocketAddr,
) -> io::Result<(Socket, Peer)> {
    socket::prepare(&stream, &shared.limits)?;
    let peer = |certificate| Peer {
        address,
        certificate,
    };
    let Some(certificates) = &shared.certificates else {
        return Ok((Socket::Plain(stream), peer(None)));
    };
    let handshake = Box::pin(certificates.acceptor().accept(stream));
    let stream = time::timeout(shared.limits.handshake_timeout, handshake).await??;
    let (_, session) = stream.get_ref();
    let leaf = session.peer_certificates().and_then(|chain| chain.first());
    let certificate = leaf.map(|leaf| Arc::from(leaf.as_ref()));
    Ok((Socket::Tls(Box::new(stream)), peer(certificate)))
}

/// Whether the connection has received a request.
#[derive(Default)]
struct FirstRequest {
    has_arrived: AtomicBool,
    arrived: Notify,
}

impl FirstRequest {
    fn mark(&self) {
        // Load before the swap: every request of the connection runs this.
        if !self.has_arrived.load(Ordering::Relaxed)
            && !self.has_arrived.swap(true, Ordering::Relaxed)
        {
            self.arrived.notify_one();
        }
    }
}

/// The HTTP service of one connection.
struct Session<S> {
    router: Arc<Router<S>>,
    peer: Peer,
    refusal: Option<Refusal>,
    first: Arc<FirstRequest>,
}

impl<S: Calls> hyper::service::Service<Request<Incoming>> for Session<S> {
    type Response = Response<AnyBody<S::Body>>;
    type Error = Infallible;
    type Future = ResponseFuture<S::Body>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let Some(refusal) = self.refusal.clone() else {
            self.first.mark();
            return self.router.handle(request, &self.peer);
        };
        let refuse = self.router.refuse;
        let first = Arc::clone(&self.first);
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            // Closing a socket with unread data discards the response.
            let _ = Limited::new(body, REFUSED_BODY).collect().await;
            first.mark();
            Ok(refusal.response(&parts.headers, refuse))
        })
    }
}
