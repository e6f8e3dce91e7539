//! Host names, origins and plain HTTP pages.

use std::io::Write;

use flate2::{Compression, write::GzEncoder};
use http::{Request, StatusCode, Version};
use pipewright::{config::Access, proto::v1};
use prost::Message;
use tonic::{Code, Status, transport::Channel};

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
async fn plain_http_gets_readable_responses() {
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
async fn a_foreign_host_name_is_refused_without_credentials() {
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
async fn only_listed_origins_may_call() {
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
async fn too_large_headers_are_refused_and_other_calls_continue() {
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

fn gzip(message: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(message).unwrap();
    let message = encoder.finish().unwrap();
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[1][..], &length, &message].concat()
}

#[tokio::test]
async fn a_message_may_be_compressed_with_gzip() {
    let world = World::start().await;
    let pipeline = v1::Pipeline {
        name: "compressed".to_owned(),
        stages: vec![v1::Stage {
            name: "a".to_owned(),
            action: Some(v1::stage::Action::Command("true".to_owned())),
            ..Default::default()
        }],
        ..Default::default()
    };
    let request = v1::CreatePipelineRequest {
        pipeline: Some(pipeline),
        ..Default::default()
    };
    let headers = [("grpc-encoding", "gzip")];
    let sent = body(gzip(&request.encode_to_vec()));
    let create = "/pipewright.v1.PipelineService/CreatePipeline";
    let (data, status) = call(world.address, create, &headers, sent).await;
    assert_eq!(status.code(), Code::Ok, "{status:?}");
    let created = v1::CreatePipelineResponse::decode(&data[5..]).unwrap();
    assert_eq!(created.pipeline.unwrap().name, "compressed");
    // A message that is not marked as compressed is taken as it is.
    let (_, status) = call(world.address, LIST, &headers, body(EMPTY.to_vec())).await;
    assert_eq!(status.code(), Code::Ok, "{status:?}");
    // The limit applies to the message, not to its compressed form.
    let bomb = body(gzip(&vec![0; 8 << 20]));
    let (_, status) = call(world.address, create, &headers, bomb).await;
    let (code, reason, setting) = refusal::<()>(Err(status));
    assert_eq!(code, Code::ResourceExhausted);
    assert_eq!(
        (&reason[..], &setting[..]),
        ("MESSAGE_TOO_LARGE", "max_message")
    );
}

#[tokio::test]
async fn another_compression_is_refused_with_the_one_that_is_accepted() {
    let world = World::start().await;
    let headers = [("grpc-encoding", "zstd")];
    let compressed = body([1, 0, 0, 0, 0].as_slice());
    let (_, status) = call(world.address, LIST, &headers, compressed).await;
    assert!(status.message().contains("zstd"), "{}", status.message());
    assert_eq!(
        status.metadata().get("grpc-accept-encoding").unwrap(),
        "gzip"
    );
    let (code, reason, _) = refusal::<()>(Err(status));
    assert_eq!(
        (code, reason.as_str()),
        (Code::Unimplemented, "ENCODING_UNSUPPORTED")
    );
}

#[tokio::test]
async fn a_body_that_is_not_one_message_is_the_clients_error() {
    let world = World::start().await;
    let gzip_named = [("grpc-encoding", "gzip")];
    for (what, sent, headers) in [
        ("nothing", &[][..], &[][..]),
        ("half a prefix", &[0, 0], &[]),
        ("half a message", &[0, 0, 0, 0, 9, 1], &[]),
        ("two messages", &[0; 10], &[]),
        ("compressed, and not said how", &[1, 0, 0, 0, 1, 0], &[]),
        ("no gzip", &[1, 0, 0, 0, 1, 0], &gzip_named),
        (
            "half of a compressed message",
            &[1, 0, 0, 0, 9, 1],
            &gzip_named,
        ),
        ("text", b"<html>", &[]),
        (
            "no such message",
            &[0, 0, 0, 0, 4, 0xff, 0xff, 0xff, 0xff],
            &[],
        ),
    ] {
        for path in [LIST, "/pipewright.v1.JobService/WatchJob"] {
            let (data, status) = call(world.address, path, headers, body(sent)).await;
            assert!(data.is_empty());
            let (code, reason, _) = refusal::<()>(Err(status));
            assert_eq!(
                (code, reason.as_str()),
                (Code::InvalidArgument, "MESSAGE_MALFORMED"),
                "{what} to {path}"
            );
        }
    }
}

#[tokio::test]
async fn a_content_type_is_the_same_in_any_case() {
    let world = World::start().await;
    for kind in ["APPLICATION/GRPC", "Application/Grpc+Proto; charset=utf-8"] {
        let request = Request::post(format!("http://{}{LIST}", world.address))
            .version(Version::HTTP_2)
            .header("content-type", kind)
            .header("te", "trailers")
            .body(body(EMPTY.to_vec()))
            .unwrap();
        let (_, _, trailers) = read(send(world.address, request).await.unwrap()).await;
        assert_eq!(trailers["grpc-status"], "0", "{kind}");
    }
}

#[tokio::test]
async fn an_authority_with_user_information_is_refused() {
    let world = World::start().await;
    let address = world.address;
    let request = Request::post(format!("http://me:secret@{address}{LIST}"))
        .version(Version::HTTP_2)
        .header("content-type", "application/grpc")
        .body(body(EMPTY.to_vec()))
        .unwrap();
    let (head, _, _) = read(send(address, request).await.unwrap()).await;
    let status = Status::from_header_map(&head).unwrap();
    assert!(!status.message().contains("secret"), "{status:?}");
    assert_eq!(refusal::<()>(Err(status)).1, "HOST_NOT_ALLOWED");
    let request = format!("GET /healthz HTTP/1.1\r\nhost: me@{address}\r\n\r\n");
    let answer = exchange(address, request.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 421 "), "{answer}");
}
