//! Names, origins and plain pages.

use http::{Request, StatusCode, Version};
use pipewright::config::Access;
use tonic::{Code, transport::Channel};

use crate::{
    raw::{body, call, exchange, read, send},
    world::{World, list, refusal},
};

const LIST: &str = "/pipewright.v1.PipelineService/ListPipelines";
const EMPTY: [u8; 5] = [0; 5];

async fn page(world: &World, method: &str, path: &str, headers: &str) -> String {
    let host = world.address;
    let request =
        format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{headers}\r\n");
    exchange(world.address, request.as_bytes()).await
}

#[tokio::test]
async fn plain_http_is_answered_readably() {
    let world = World::start().await;
    for (method, path, headers, status, text) in [
        ("GET", "/healthz", "", "200 OK", "ok"),
        ("GET", "/readyz", "", "200 OK", "ok"),
        ("HEAD", "/readyz", "", "200 OK", ""),
        (
            "GET",
            "/metrics",
            "",
            "200 OK",
            "# TYPE pipewright_build_info gauge",
        ),
        ("GET", "/", "", "404", "a gRPC service"),
        ("GET", LIST, "", "404", "a gRPC service"),
        ("PUT", "/", "", "405", "a gRPC service"),
        (
            "POST",
            LIST,
            "content-length: 0\r\n",
            "415",
            "application/grpc",
        ),
        (
            "POST",
            LIST,
            "content-type: application/json\r\n",
            "415",
            "application/json",
        ),
        (
            "POST",
            LIST,
            "content-type: application/grpc\r\n",
            "505",
            "HTTP/2",
        ),
        (
            "GET",
            LIST,
            "content-type: application/grpc-web\r\n",
            "405",
            "POST",
        ),
    ] {
        let answer = page(&world, method, path, headers).await;
        let expected = format!("HTTP/1.1 {status}");
        assert!(answer.starts_with(&expected), "{method} {path}: {answer}");
        assert!(answer.contains("content-type: text/plain"), "{answer}");
        assert!(answer.contains(text), "{method} {path}: {answer}");
    }
    let request = Request::get(format!("http://{}/healthz", world.address));
    let request = request.version(Version::HTTP_2).body(body("")).unwrap();
    let (_, ok, _) = read(send(world.address, request).await.unwrap()).await;
    assert_eq!(ok, b"ok\n");
}

fn named(world: &World, name: &str) -> Channel {
    let uri = format!("http://{}", world.address);
    let origin = format!("http://{name}").parse().unwrap();
    Channel::from_shared(uri)
        .unwrap()
        .origin(origin)
        .connect_lazy()
}

#[tokio::test]
async fn a_name_of_a_stranger_is_refused_where_there_are_no_credentials() {
    let world = World::start().await;
    let refused = refusal(list(&named(&world, "evil.example:50051")).await);
    let expected = (
        Code::PermissionDenied,
        "HOST_NOT_ALLOWED".to_owned(),
        "allowed_hosts".to_owned(),
    );
    assert_eq!(refused, expected);
    list(&named(&world, "localhost:1")).await.unwrap();
    let plain = exchange(
        world.address,
        b"GET / HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n",
    )
    .await;
    assert!(plain.starts_with("HTTP/1.1 421 "), "{plain}");
    assert!(plain.contains("allowed_hosts"), "{plain}");

    let listed = World::with(|config| config.http.allowed_hosts = vec!["ci.example".into()]).await;
    list(&named(&listed, "ci.example")).await.unwrap();
    assert_eq!(refusal(list(&listed.channel()).await), expected);

    let closed = World::with(|config| config.access = Access::Token("t".into())).await;
    let unknown = refusal(list(&named(&closed, "ci.example")).await);
    assert_eq!(unknown.1, "UNAUTHENTICATED");
}

fn of_a_page(world: &World, method: &str, origin: &str) -> http::request::Builder {
    Request::builder()
        .method(method)
        .uri(LIST)
        .header("host", world.address.to_string())
        .header("origin", origin)
}

#[tokio::test]
async fn only_listed_pages_may_call() {
    let page = "https://ci.example.com";
    let world = World::with(|config| config.http.allowed_origins = vec![page.into()]).await;
    let preflight = |origin: &str| {
        of_a_page(&world, "OPTIONS", origin)
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "content-type,x-grpc-web")
            .body(body(""))
            .unwrap()
    };
    let allowed = send(world.address, preflight(page)).await.unwrap();
    assert_eq!(allowed.status(), StatusCode::OK);
    let header = |name: &str| allowed.headers()[name].to_str().unwrap().to_lowercase();
    assert_eq!(header("access-control-allow-origin"), page);
    assert!(header("access-control-allow-methods").contains("post"));
    for sent in [
        "authorization",
        "content-type",
        "x-grpc-web",
        "grpc-timeout",
        "traceparent",
    ] {
        assert!(
            header("access-control-allow-headers").contains(sent),
            "{sent}"
        );
    }
    assert_eq!(header("access-control-max-age"), "3600");

    let refused = send(world.address, preflight("https://evil.example")).await;
    let refused = refused.unwrap();
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    assert!(
        !refused
            .headers()
            .contains_key("access-control-allow-origin")
    );
    let (_, text, _) = read(refused).await;
    assert!(String::from_utf8(text).unwrap().contains("allowed_origins"));

    let web = |origin: &str| {
        of_a_page(&world, "POST", origin)
            .header("content-type", "application/grpc-web+proto")
            .body(body(EMPTY.to_vec()))
            .unwrap()
    };
    let refused = send(world.address, web("https://evil.example"))
        .await
        .unwrap();
    assert_eq!(
        refused.headers()["content-type"],
        "application/grpc-web+proto"
    );
    let status = tonic::Status::from_header_map(refused.headers()).unwrap();
    let (code, reason, setting) = refusal::<()>(Err(status));
    assert_eq!(
        (code, reason.as_str(), setting.as_str()),
        (
            Code::PermissionDenied,
            "ORIGIN_NOT_ALLOWED",
            "allowed_origins"
        )
    );
    let allowed = send(world.address, web(page)).await.unwrap();
    assert_eq!(allowed.headers()["access-control-allow-origin"], page);
    let exposed = &allowed.headers()["access-control-expose-headers"];
    for read in ["grpc-status", "grpc-message", "grpc-status-details-bin"] {
        assert!(exposed.to_str().unwrap().contains(read), "{read}");
    }
}

#[tokio::test]
async fn headers_that_are_too_large_are_refused_and_the_rest_goes_on() {
    let world = World::start().await;
    let large = "x".repeat(20_000);
    let answer = page(&world, "GET", "/healthz", &format!("x: {large}\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    let request = Request::get(format!("http://{}/healthz", world.address))
        .version(Version::HTTP_2)
        .header("x", &large)
        .body(body(""))
        .unwrap();
    let answer = send(world.address, request).await.unwrap();
    assert_eq!(answer.status(), StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    let (_, status) = call(world.address, LIST, &[], body(EMPTY.to_vec())).await;
    assert_eq!(status.code(), Code::Ok);
}

#[tokio::test]
async fn a_compressed_message_is_told_of_as_such() {
    let world = World::start().await;
    let compressed = body([1, 0, 0, 0, 0].as_slice());
    let headers = [("grpc-encoding", "gzip")];
    let (_, status) = call(world.address, LIST, &headers, compressed).await;
    assert!(status.message().contains("gzip"), "{}", status.message());
    let (code, reason, _) = refusal::<()>(Err(status));
    assert_eq!(
        (code, reason.as_str()),
        (Code::Unimplemented, "ENCODING_UNSUPPORTED")
    );
}
