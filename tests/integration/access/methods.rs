//! The list of methods, and the metrics.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

use super::service;
use crate::known::{self, As};

/// The methods of Pipewright's own services, as `Service/Method`.
pub(super) async fn reflected(caller: &As) -> Vec<String> {
    let services = ask(caller, MessageRequest::ListServices(String::new())).await;
    let MessageResponse::ListServicesResponse(services) = services else {
        panic!("no list of services: {services:?}");
    };
    let mut methods = Vec::new();
    for service in services.service {
        if !service.name.starts_with("pipewright.") {
            continue;
        }
        let file = MessageRequest::FileContainingSymbol(service.name.clone());
        let MessageResponse::FileDescriptorResponse(files) = ask(caller, file).await else {
            panic!("no file of {}", service.name);
        };
        for bytes in files.file_descriptor_proto {
            let file: prost_types::FileDescriptorProto = prost::Message::decode(&*bytes).unwrap();
            for found in &file.service {
                let name = format!("{}.{}", file.package(), found.name());
                if name == service.name {
                    methods.extend(
                        found
                            .method
                            .iter()
                            .map(|m| format!("{}/{}", found.name(), m.name())),
                    );
                }
            }
        }
    }
    methods
}

async fn ask(caller: &As, request: MessageRequest) -> MessageResponse {
    let mut client = ServerReflectionClient::new(caller.channel.clone());
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(request),
    };
    let answers = client
        .server_reflection_info(tokio_stream::once(request))
        .await;
    let answer = answers
        .unwrap()
        .into_inner()
        .message()
        .await
        .unwrap()
        .unwrap();
    answer.message_response.unwrap()
}

#[tokio::test]
async fn metrics_need_a_role_in_all_projects() {
    let service = service().await;
    for (name, expected) in [
        ("", "401 Unauthorized"),
        ("unknown", "401 Unauthorized"),
        ("admin", "403 Forbidden"),
        ("runner", "403 Forbidden"),
        ("all-viewer", "200 OK"),
    ] {
        let mut stream = TcpStream::connect(service.address).await.unwrap();
        let authorization = match name {
            "" => String::new(),
            name => format!("authorization: Bearer {}\r\n", known::token(name)),
        };
        let request = format!(
            "GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{authorization}\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {expected}")),
            "{name}: {answer}"
        );
        assert_eq!(
            answer.contains("pipewright_build_info"),
            name == "all-viewer"
        );
        // Those before were counted.
        assert_eq!(
            answer.contains("pipewright_refusals_total{reason=\"ROLE_REQUIRED\"}"),
            name == "all-viewer"
        );
        assert_eq!(
            answer.contains("www-authenticate"),
            expected.starts_with("401")
        );
    }
}
