//! A service whose calls a test implements.

use std::{future::pending, net::SocketAddr, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::Full;
use hyper::{
    body::Incoming,
    client::conn::http2::{self, SendRequest},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use pipewright::{
    config::{Http, Limits},
    http::{Calls, Certificates, Settings},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::watch,
    task,
};
use tokio_util::task::AbortOnDropHandle;

use crate::raw::{Body, body, read};

struct Answers<F>(F);

impl<F, Answer> Calls for Answers<F>
where
    F: Fn(Request<Incoming>) -> Answer + Send + Sync + 'static,
    Answer: Future<Output = Bytes> + Send + 'static,
{
    type Body = Full<Bytes>;

    fn grpc(
        &self,
        request: Request<Incoming>,
    ) -> impl Future<Output = Response<Self::Body>> + Send + 'static {
        let answer = self.0(request);
        async { Response::new(Full::new(answer.await)) }
    }

    fn grpc_web(
        &self,
        request: Request<Incoming>,
        _: bool,
    ) -> impl Future<Output = Response<Self::Body>> + Send + 'static {
        self.grpc(request)
    }
}

/// Serves calls with this function until the handle is dropped.
pub(crate) async fn serve<Answer>(
    certificates: Option<Certificates>,
    answer: impl Fn(Request<Incoming>) -> Answer + Send + Sync + 'static,
) -> (SocketAddr, AbortOnDropHandle<()>)
where
    Answer: Future<Output = Bytes> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let settings = Settings {
        limits: Limits::default(),
        reserved_files: 0,
        http: Http::default(),
        is_open: true,
        certificates: certificates.map(Arc::new),
        refuse: |_| HeaderMap::new(),
        ready: watch::channel(true).1,
        metrics: None,
    };
    let serving = pipewright::http::serve(listener, settings, Answers(answer), pending());
    (address, AbortOnDropHandle::new(tokio::spawn(serving)))
}

/// A client on an open connection.
pub(crate) async fn client(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
) -> SendRequest<Body> {
    let client = http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (sender, connection) = client.await.unwrap();
    tokio::spawn(connection);
    sender
}

/// Calls a method, and reads the response.
pub(crate) async fn call(
    client: &mut SendRequest<Body>,
    path: &str,
) -> Result<Vec<u8>, hyper::Error> {
    let request = Request::post(format!("https://localhost{path}"))
        .header("content-type", "application/grpc")
        .body(body(""))
        .unwrap();
    let (_, data, _) = read(client.send_request(request).await?).await;
    Ok(data)
}

/// Returns the task that responds.
async fn task_of_its_own(request: Request<Incoming>) -> Bytes {
    match request.uri().path() {
        "/p.S/Now" => {}
        "/p.S/Later" => task::yield_now().await,
        _ => panic!("a call that fails, as it is meant to"),
    }
    task::id().to_string().into()
}

#[tokio::test]
async fn a_call_that_does_not_wait_runs_inline() {
    let (address, _serving) = serve(None, task_of_its_own).await;
    let mut client = client(TcpStream::connect(address).await.unwrap()).await;
    let connection = call(&mut client, "/p.S/Now").await.unwrap();
    assert_eq!(call(&mut client, "/p.S/Now").await.unwrap(), connection);
    assert_ne!(call(&mut client, "/p.S/Later").await.unwrap(), connection);
}

#[tokio::test]
async fn a_panicking_call_ends_no_other_call() {
    let (address, _serving) = serve(None, task_of_its_own).await;
    let mut client = client(TcpStream::connect(address).await.unwrap()).await;
    let connection = call(&mut client, "/p.S/Now").await.unwrap();
    assert!(call(&mut client, "/p.S/Panic").await.is_err());
    assert_eq!(call(&mut client, "/p.S/Now").await.unwrap(), connection);
}
