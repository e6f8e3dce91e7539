//! Raw requests, as on the wire.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, Version};
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use hyper::{
    body::Incoming,
    client::conn::{http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time,
};
use tonic::Status;

use crate::world::PATIENCE;

pub(crate) type Body = UnsyncBoxBody<Bytes, std::convert::Infallible>;

pub(crate) fn body(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).boxed_unsync()
}

/// A message with its gRPC prefix.
pub(crate) fn framed(message: &impl prost::Message) -> Vec<u8> {
    let message = message.encode_to_vec();
    let length = u32::try_from(message.len()).unwrap();
    [&[0], &length.to_be_bytes()[..], &message].concat()
}

/// Sends bytes and reads until the service closes.
pub(crate) async fn exchange(address: SocketAddr, sent: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(sent).await.unwrap();
    until_closed(stream).await
}

/// Reads until the service closes.
pub(crate) async fn until_closed(mut stream: TcpStream) -> String {
    let mut read = Vec::new();
    // A reset counts as a close, too.
    let _ = time::timeout(PATIENCE, stream.read_to_end(&mut read))
        .await
        .expect("the service closes");
    String::from_utf8_lossy(&read).into_owned()
}

/// Makes a request on a connection of its own, with the request's HTTP version.
pub(crate) async fn send(
    address: SocketAddr,
    mut request: Request<Body>,
) -> Result<Response<Incoming>, hyper::Error> {
    let io = TokioIo::new(TcpStream::connect(address).await.unwrap());
    let answer = async {
        if request.version() == Version::HTTP_2 {
            let (mut sender, connection) = http2::handshake(TokioExecutor::new(), io).await?;
            tokio::spawn(connection);
            return sender.send_request(request).await;
        }
        let (mut sender, connection) = http1::handshake(io).await?;
        tokio::spawn(connection);
        if !request.headers().contains_key("host") {
            let host = address.to_string().parse().unwrap();
            request.headers_mut().insert("host", host);
        }
        sender.send_request(request).await
    };
    time::timeout(PATIENCE, answer).await.expect("an answer")
}

/// A gRPC call by hand: the data of the response, and the status.
pub(crate) async fn call(
    address: SocketAddr,
    path: &str,
    headers: &[(&str, &str)],
    sent: Body,
) -> (Vec<u8>, Status) {
    let mut request = Request::post(format!("http://{address}{path}"))
        .version(Version::HTTP_2)
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = send(address, request.body(sent).unwrap()).await.unwrap();
    let (head, data, trailers) = read(response).await;
    let status = Status::from_header_map(&trailers).or_else(|| Status::from_header_map(&head));
    (data, status.expect("a status"))
}

/// The headers, the whole body and the trailers of a response.
pub(crate) async fn read(response: Response<Incoming>) -> (HeaderMap, Vec<u8>, HeaderMap) {
    let (head, body) = response.into_parts();
    let body = time::timeout(PATIENCE, body.collect()).await;
    let body = body.expect("an end").unwrap();
    let trailers = body.trailers().cloned().unwrap_or_default();
    (head.headers, body.to_bytes().to_vec(), trailers)
}
