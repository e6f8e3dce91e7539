//! Responses that are not from a service: from proxies, captive portals and other
//! servers.

use std::{convert::Infallible, net::SocketAddr, thread};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{net::TcpListener, runtime};

use crate::binary::{Running, pipewright, run};

/// Sends this response to every request, until the test's process ends.
fn proxy(status: u16, content_type: &'static str, page: &'static str) -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let runtime = runtime::Builder::new_current_thread().enable_all().build();
        runtime.unwrap().block_on(async move {
            let listener = TcpListener::from_std(listener).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let answer = service_fn(move |_: Request<Incoming>| async move {
                        let response = Response::builder()
                            .status(status)
                            .header("content-type", content_type)
                            .body(Full::new(Bytes::from_static(page.as_bytes())));
                        Ok::<_, Infallible>(response.unwrap())
                    });
                    http2::Builder::new(TokioExecutor::new())
                        .serve_connection(TokioIo::new(stream), answer)
                        .await
                });
            }
        });
    });
    address
}

const JOB: &str = "01a1fe35-0f9d-71f0-ae03-b21035951842";

#[test]
fn a_page_instead_of_a_response_is_reported() {
    let large = proxy(413, "text/html", "<h1>\nRequest Entity Too Large\n</h1>");
    let portal = proxy(200, "text/html", "<title>Log in to the Wi-Fi</title>");
    let forbidden = proxy(403, "text/plain", "blocked by policy");
    for (address, exit, status, says) in [
        (large, 7, "HTTP 413 (text/html)", "Request Entity Too Large"),
        (portal, 7, "HTTP 200 (text/html)", "Log in to the Wi-Fi"),
        (forbidden, 6, "HTTP 403 (text/plain)", "blocked by policy"),
    ] {
        let server = address.to_string();
        for command in [
            &["pipeline", "list"][..],
            &["job", "get", JOB],
            &["job", "watch", JOB],
            &["job", "log", JOB, "a"],
            &["health"],
        ] {
            let ran = run(&[command, &["--server", &server]].concat());
            assert_eq!(ran.code, Some(exit), "{command:?}: {}", ran.stderr);
            let message = format!(
                "{server} answered with {status}, which is not gRPC: is there a proxy in between? \
                 It says: {says}"
            );
            assert!(ran.stderr.contains(&message), "{command:?}: {}", ran.stderr);
        }
    }
    let ran = run(&[
        "pipeline",
        "list",
        "-o",
        "json",
        "--server",
        &portal.to_string(),
    ]);
    let error: serde_json::Value = serde_json::from_str(&ran.stderr).unwrap();
    assert_eq!(error["error"]["reason"], "NOT_GRPC", "{error}");
}

#[test]
fn a_gateway_without_its_service_is_retried_and_then_reported() {
    let bad_gateway = proxy(502, "text/html", "<title>502 Bad Gateway</title>").to_string();
    let ran = run(&["pipeline", "list", "--server", &bad_gateway]);
    assert_eq!(ran.code, Some(7), "{}", ran.stderr);
    let message = format!("{bad_gateway} answered with HTTP 502 (text/html)");
    assert!(ran.stderr.contains(&message), "{}", ran.stderr);
    let mut runner = Running::start(&mut pipewright(&["runner", "--server", &bad_gateway]));
    runner.until_stderr(&message);
}
