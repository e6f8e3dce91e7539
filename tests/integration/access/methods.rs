//! Every method, by the role that it needs.

use std::collections::{BTreeMap, BTreeSet};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tonic::{Code, Status, client::Grpc, codegen::http::uri::PathAndQuery};
use tonic_prost::ProstCodec;
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

use super::{ROLES, includes, service, why};
use crate::known::{self, As};

/// What each method needs, written down once more: role, and whether in all projects.
const NEEDED: [(&str, &str, bool); 21] = [
    ("PipelineService/CreatePipeline", "admin", false),
    ("PipelineService/GetPipeline", "viewer", false),
    ("PipelineService/ListPipelines", "viewer", false),
    ("PipelineService/UpdatePipeline", "admin", false),
    ("PipelineService/DeletePipeline", "admin", false),
    ("PipelineService/TriggerPipeline", "developer", false),
    ("JobService/GetJob", "viewer", false),
    ("JobService/ListJobs", "viewer", false),
    ("JobService/WatchJob", "viewer", false),
    ("JobService/ReadStageLog", "viewer", false),
    ("JobService/CancelJob", "developer", false),
    ("JobService/RetryJob", "developer", false),
    ("RunnerService/GetRunner", "viewer", true),
    ("RunnerService/ListRunners", "viewer", true),
    ("RunnerService/DrainRunner", "admin", true),
    ("RunnerService/ResumeRunner", "admin", true),
    ("LeaseService/RegisterRunner", "runner", true),
    ("LeaseService/AcquireLease", "runner", true),
    ("LeaseService/RenewLease", "runner", true),
    ("LeaseService/AppendLog", "runner", true),
    ("LeaseService/CompleteLease", "runner", true),
];

#[tokio::test]
async fn every_method_that_reflection_lists_is_for_whom_it_should_be() {
    let service = service().await;
    let needed: BTreeMap<_, _> = NEEDED
        .iter()
        .map(|(m, role, all)| (*m, (*role, *all)))
        .collect();
    let methods = reflected(&As::new(&service, "viewer")).await;
    let listed: BTreeSet<&str> = methods.iter().map(|path| short(path)).collect();
    assert_eq!(
        listed,
        needed.keys().copied().collect(),
        "methods and this test differ"
    );
    for path in &methods {
        let (role, everywhere) = needed[short(path)];
        let nobody = call(&As::nobody(&service), path).await;
        assert_eq!(
            why(nobody),
            (Code::Unauthenticated, "UNAUTHENTICATED".into()),
            "{path}"
        );
        let wrong = As::showing(&service, Some("Bearer pw_1_wrong".parse().unwrap()));
        let wrong = why(call(&wrong, path).await);
        assert_eq!(
            wrong,
            (Code::Unauthenticated, "UNAUTHENTICATED".into()),
            "{path}"
        );
        for held in ROLES {
            let of_one = call(&As::new(&service, held), path).await;
            let of_all = call(&As::new(&service, &format!("all-{held}")), path).await;
            // Roles in a project are asked for once it is known which project it is.
            let may = match everywhere {
                true => includes(held, role),
                false => held != "runner",
            };
            let one_may = may && (!everywhere || held == "runner");
            assert_eq!(
                is_let_in(&of_one),
                one_may,
                "{held} in one project, {path}: {of_one:?}"
            );
            assert_eq!(is_let_in(&of_all), may, "{held} in all, {path}: {of_all:?}");
        }
    }
}

fn is_let_in(answer: &Result<(), Status>) -> bool {
    let refused = |status: &Status| status.code() == Code::PermissionDenied;
    !answer.as_ref().is_err_and(refused)
}

/// `/package.Service/Method` without the package.
fn short(path: &str) -> &str {
    path.rsplit_once('.').unwrap().1
}

/// Calls a method, whichever it is, with an empty message.
async fn call(caller: &As, path: &str) -> Result<(), Status> {
    let mut client = Grpc::new(caller.channel.clone());
    client.ready().await.unwrap();
    let path: PathAndQuery = path.parse().unwrap();
    let codec = ProstCodec::<(), ()>::default();
    // A stream of at most one message will do for a method of either kind.
    let answer = client
        .server_streaming(tonic::Request::new(()), path, codec)
        .await?;
    answer.into_inner().message().await.map(drop)
}

/// The methods of Pipewright's own services.
async fn reflected(caller: &As) -> Vec<String> {
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
                    methods.extend(found.method.iter().map(|m| format!("/{name}/{}", m.name())));
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
async fn the_numbers_are_for_those_who_see_all_projects() {
    let service = service().await;
    for (name, expected) in [
        ("", "401 Unauthorized"),
        ("nobody", "401 Unauthorized"),
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
        assert_eq!(
            answer.contains("www-authenticate"),
            expected.starts_with("401")
        );
    }
}
