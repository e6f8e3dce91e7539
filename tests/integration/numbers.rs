//! Every number that a client can send, at its extremes: each is refused by its name, or
//! means what the contract says. None makes a call fail in the service.

use std::{collections::BTreeSet, time::Duration};

use pipewright::proto::{
    FILE_DESCRIPTOR_SET,
    runner_v1::{self as lease, Directive, Outcome},
    v1,
};
use prost::Message;
use prost_reflect::{
    DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, MethodDescriptor,
    ReflectMessage, Value,
};
use tokio::time::timeout;
use tonic::{Code, Status, client::Grpc};
use tonic_prost::ProstCodec;
use tonic_types::StatusExt;

use crate::{
    raw_runner::{RawRunner, id, registration},
    service::{Service, pipeline, refusal, stage},
};

/// Largest log, as the contract says.
const MAX_LOG: i64 = 1 << 53;
/// Most seconds of a duration.
const MAX_SECONDS: i64 = 315_576_000_000;
/// Longer than any of these calls takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a field may be.
#[derive(Clone, Copy, Debug)]
enum Rule {
    /// A number in this range.
    Range(i64, i64),
    /// A duration of so many seconds.
    Seconds(i64, i64),
    /// A value of its enum that is not 0, which stands for none.
    Known,
    /// The same, and 0.
    KnownOrUnset,
    /// Any number: the contract says what an unknown one means.
    Any,
    /// The same, but not 0.
    AnyButUnset,
    /// The client does not set it.
    Ignored,
}

use Rule::{Any, AnyButUnset, Ignored, Known, KnownOrUnset, Range, Seconds};

/// Every number in a request, by its method and its path. A new one has to be added here.
const RULES: &[(&str, &str, Rule)] = &[
    ("AcquireLease", "max_wait", Seconds(0, MAX_SECONDS)),
    ("AppendLog", "dropped_bytes", Range(0, 100)),
    ("AppendLog", "offset", Range(0, MAX_LOG)),
    ("AppendLog", "proof.fencing_token", Range(1, i64::MAX)),
    ("CompleteLease", "exit_code", Range(0, 255)),
    ("CompleteLease", "log_size_bytes", Range(0, MAX_LOG)),
    ("CompleteLease", "outcome", AnyButUnset),
    ("CompleteLease", "proof.fencing_token", Range(1, i64::MAX)),
    (
        "CreatePipeline",
        "pipeline.concurrency_policy",
        KnownOrUnset,
    ),
    ("CreatePipeline", "pipeline.create_time", Ignored),
    ("CreatePipeline", "pipeline.revision", Ignored),
    (
        "CreatePipeline",
        "pipeline.stages[0].run_condition",
        KnownOrUnset,
    ),
    (
        "CreatePipeline",
        "pipeline.stages[0].timeout",
        Seconds(1, 86_400),
    ),
    ("CreatePipeline", "pipeline.stages[0].type", KnownOrUnset),
    ("CreatePipeline", "pipeline.update_time", Ignored),
    ("CreateProject", "project.create_time", Ignored),
    ("CreateProject", "project.update_time", Ignored),
    ("GetPipeline", "revision", Range(0, i64::MAX)),
    ("ListJobs", "page_size", Range(0, i64::MAX)),
    ("ListJobs", "states[0]", Known),
    ("ListPipelines", "page_size", Range(0, i64::MAX)),
    ("ListProjects", "page_size", Range(0, i64::MAX)),
    ("ListRunners", "page_size", Range(0, i64::MAX)),
    ("ListTasks", "page_size", Range(0, i64::MAX)),
    ("ReadStageLog", "attempt", Range(0, i64::MAX)),
    ("ReadStageLog", "limit_bytes", Range(0, i64::MAX)),
    ("ReadStageLog", "offset", Any),
    ("RegisterRunner", "capacity", Range(1, 10_000)),
    ("RenewLease", "known_directive", Any),
    ("RenewLease", "max_wait", Seconds(0, MAX_SECONDS)),
    ("RenewLease", "progress_percent", Range(0, 100)),
    ("RenewLease", "proof.fencing_token", Range(1, i64::MAX)),
    ("RetryJob", "scope", KnownOrUnset),
    ("TriggerPipeline", "priority", Range(-100, 100)),
    ("TriggerPipeline", "revision", Range(0, i64::MAX)),
    (
        "UpdatePipeline",
        "pipeline.concurrency_policy",
        KnownOrUnset,
    ),
    ("UpdatePipeline", "pipeline.create_time", Ignored),
    ("UpdatePipeline", "pipeline.revision", Ignored),
    (
        "UpdatePipeline",
        "pipeline.stages[0].run_condition",
        KnownOrUnset,
    ),
    (
        "UpdatePipeline",
        "pipeline.stages[0].timeout",
        Seconds(1, 86_400),
    ),
    ("UpdatePipeline", "pipeline.stages[0].type", KnownOrUnset),
    ("UpdatePipeline", "pipeline.update_time", Ignored),
    ("UpdateProject", "project.create_time", Ignored),
    ("UpdateProject", "project.update_time", Ignored),
    ("WatchJob", "heartbeat_interval", Seconds(1, 60)),
    ("WatchJob", "last_seen_sequence", Range(0, i64::MAX)),
];

const EXTREMES: [i64; 22] = [
    i64::MIN,
    i64::MIN + 1,
    -(1 << 62),
    i32::MIN as i64 - 1,
    i32::MIN as i64,
    -101,
    -100,
    -2,
    -1,
    0,
    1,
    2,
    100,
    101,
    256,
    i32::MAX as i64,
    i32::MAX as i64 + 1,
    MAX_LOG,
    MAX_LOG + 1,
    1 << 62,
    i64::MAX - 1,
    i64::MAX,
];

fn methods() -> Vec<MethodDescriptor> {
    let pool = DescriptorPool::decode(FILE_DESCRIPTOR_SET).unwrap();
    let own = |service: &prost_reflect::ServiceDescriptor| {
        service.package_name().starts_with("pipewright.")
    };
    let services: Vec<_> = pool.services().filter(own).collect();
    services
        .iter()
        .flat_map(|service| service.methods())
        .collect()
}

/// The paths of all numbers in a message.
fn numbers(message: &MessageDescriptor) -> Vec<Vec<FieldDescriptor>> {
    let mut paths = Vec::new();
    for field in message.fields().filter(|field| !field.is_map()) {
        match field.kind() {
            Kind::String | Kind::Bytes | Kind::Bool => {}
            Kind::Message(of) if is_time(&of) => paths.push(vec![field]),
            Kind::Message(of) => {
                for rest in numbers(&of) {
                    paths.push([vec![field.clone()], rest].concat());
                }
            }
            _ => paths.push(vec![field]),
        }
    }
    paths
}

fn is_time(message: &MessageDescriptor) -> bool {
    let name = message.full_name();
    ["google.protobuf.Duration", "google.protobuf.Timestamp"].contains(&name)
}

fn name(path: &[FieldDescriptor]) -> String {
    let part = |field: &FieldDescriptor| match field.is_list() {
        true => format!("{}[0]", field.name()),
        false => field.name().to_owned(),
    };
    path.iter().map(part).collect::<Vec<_>>().join(".")
}

/// The values to send in a field, and whether its rule allows each. Those that do not fit into
/// its type are left out.
fn values(field: &FieldDescriptor, rule: Rule) -> Vec<(Value, bool)> {
    let is_allowed = |number: i64| match rule {
        Range(first, last) => (first..=last).contains(&number),
        Seconds(first, last) => (first..=last).contains(&number),
        Known | KnownOrUnset => match field.kind() {
            Kind::Enum(of) => {
                let known = i32::try_from(number).is_ok_and(|n| of.get_value(n).is_some());
                known && (number != 0 || matches!(rule, KnownOrUnset))
            }
            other => panic!("{other:?} is no enum"),
        },
        Any | Ignored => true,
        AnyButUnset => number != 0,
    };
    let narrow = |number: i64| i32::try_from(number).ok();
    let mut values = Vec::new();
    for number in EXTREMES {
        let value = match field.kind() {
            Kind::Int64 => Some(Value::I64(number)),
            Kind::Int32 => narrow(number).map(Value::I32),
            Kind::Enum(_) => narrow(number).map(Value::EnumNumber),
            Kind::Message(of) => Some(time(&of, number, 0)),
            other => panic!("{other:?}: a kind of number that no rule is for yet"),
        };
        values.extend(value.map(|value| (value, is_allowed(number))));
    }
    if let Kind::Message(of) = field.kind() {
        for nanos in [i32::MIN, -1, 1_000_000_000, i32::MAX] {
            values.push((time(&of, 1, nanos), matches!(rule, Ignored)));
        }
    }
    values
}

fn time(of: &MessageDescriptor, seconds: i64, nanos: i32) -> Value {
    let mut message = DynamicMessage::new(of.clone());
    message.set_field_by_name("seconds", Value::I64(seconds));
    message.set_field_by_name("nanos", Value::I32(nanos));
    Value::Message(message)
}

fn set(message: &mut DynamicMessage, path: &[FieldDescriptor], value: Value) {
    let (field, rest) = path.split_first().unwrap();
    let known = message.get_field_mut(field);
    let slot = match known {
        Value::List(items) => {
            if items.is_empty() {
                items.push(Value::default_value(&field.kind()));
            }
            &mut items[0]
        }
        slot => slot,
    };
    match (slot, rest) {
        (slot, []) => *slot = value,
        (Value::Message(inner), rest) => set(inner, rest, value),
        (other, _) => panic!("{other:?} has no fields"),
    }
}

/// A pipeline whose first stage may have any condition.
fn two(name: &str) -> v1::Pipeline {
    let first = v1::Stage {
        needs: vec!["t".to_owned()],
        ..stage("s", "true")
    };
    v1::Pipeline {
        parallel: true,
        ..pipeline(name, [first, stage("t", "true")])
    }
}

/// Requests that are right, and what they are about.
struct Requests {
    pipeline: v1::Pipeline,
    job_id: String,
}

impl Requests {
    /// A job that has ended, so that each of its streams ends.
    async fn of(service: &Service) -> Self {
        let pipeline = service.create(two("p")).await;
        let job = service.trigger(&pipeline).await;
        service.cancel(&job.id).await.unwrap();
        let job_id = job.id;
        Self { pipeline, job_id }
    }

    fn bytes(&self, method: &str) -> Vec<u8> {
        let job_id = self.job_id.clone();
        let proof = Some(lease::LeaseProof {
            lease_id: id(),
            fencing_token: 1,
        });
        let project = Some(v1::Project {
            name: "numbers".to_owned(),
            ..Default::default()
        });
        match method {
            "AcquireLease" => lease::AcquireLeaseRequest {
                runner_id: id(),
                session_id: id(),
                request_id: id(),
                ..Default::default()
            }
            .encode_to_vec(),
            "AppendLog" => lease::AppendLogRequest {
                proof,
                offset: 100,
                ..Default::default()
            }
            .encode_to_vec(),
            "CompleteLease" => lease::CompleteLeaseRequest {
                proof,
                outcome: Outcome::Succeeded.into(),
                ..Default::default()
            }
            .encode_to_vec(),
            "RegisterRunner" => registration().encode_to_vec(),
            "RenewLease" => lease::RenewLeaseRequest {
                proof,
                known_directive: Directive::Continue.into(),
                ..Default::default()
            }
            .encode_to_vec(),
            // Only checked, as each of them would be another one.
            "CreatePipeline" => v1::CreatePipelineRequest {
                pipeline: Some(two("numbers")),
                validate_only: true,
                ..Default::default()
            }
            .encode_to_vec(),
            "UpdatePipeline" => v1::UpdatePipelineRequest {
                pipeline: Some(v1::Pipeline {
                    etag: String::new(),
                    ..self.pipeline.clone()
                }),
                validate_only: true,
                ..Default::default()
            }
            .encode_to_vec(),
            "TriggerPipeline" => v1::TriggerPipelineRequest {
                pipeline_id: self.pipeline.id.clone(),
                validate_only: true,
                ..Default::default()
            }
            .encode_to_vec(),
            "CreateProject" => v1::CreateProjectRequest {
                project,
                ..Default::default()
            }
            .encode_to_vec(),
            "UpdateProject" => v1::UpdateProjectRequest {
                project,
                ..Default::default()
            }
            .encode_to_vec(),
            "GetPipeline" => v1::GetPipelineRequest {
                pipeline_id: self.pipeline.id.clone(),
                ..Default::default()
            }
            .encode_to_vec(),
            "RetryJob" => v1::RetryJobRequest {
                job_id: id(),
                ..Default::default()
            }
            .encode_to_vec(),
            "ReadStageLog" => v1::ReadStageLogRequest {
                job_id,
                stage_name: "s".to_owned(),
                ..Default::default()
            }
            .encode_to_vec(),
            "WatchJob" => v1::WatchJobRequest {
                job_id,
                ..Default::default()
            }
            .encode_to_vec(),
            "ListJobs" | "ListPipelines" | "ListProjects" | "ListRunners" | "ListTasks" => {
                Vec::new()
            }
            other => panic!("no request for {other}; add one"),
        }
    }
}

/// Makes a call and reads its answer to the end, whatever it is.
async fn call(
    service: &Service,
    method: &MethodDescriptor,
    request: DynamicMessage,
) -> Result<(), Status> {
    let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
    let mut client = Grpc::new(service.channel.clone());
    client.ready().await.unwrap();
    let codec = ProstCodec::<DynamicMessage, ()>::default();
    let called = async {
        let request = tonic::Request::new(request);
        let answer = client.server_streaming(request, path.parse().unwrap(), codec);
        let mut answer = answer.await?.into_inner();
        while answer.message().await?.is_some() {}
        Ok(())
    };
    timeout(PATIENCE, called).await.expect("an answer in time")
}

/// The fields that a refusal names.
fn named(status: &Status) -> Vec<String> {
    let bad = status.get_details_bad_request();
    let violations = bad.map(|bad| bad.field_violations).unwrap_or_default();
    violations
        .into_iter()
        .map(|violation| violation.field)
        .collect()
}

#[test]
fn every_number_of_a_request_has_a_rule() {
    let mut found = BTreeSet::new();
    for method in methods() {
        for path in numbers(&method.input()) {
            found.insert((method.name().to_owned(), name(&path)));
        }
    }
    let rules = RULES.iter();
    let known: BTreeSet<_> = rules
        .map(|(method, path, _)| ((*method).to_owned(), (*path).to_owned()))
        .collect();
    assert_eq!(found, known);
}

#[tokio::test]
async fn a_number_is_refused_by_its_name_or_means_something() {
    let service = Service::without_runner().await;
    let requests = Requests::of(&service).await;
    for method in methods() {
        for path in numbers(&method.input()) {
            let (field, method_name) = (name(&path), method.name());
            let rule = RULES
                .iter()
                .find(|rule| (rule.0, rule.1) == (method_name, &*field))
                .unwrap()
                .2;
            for (value, is_allowed) in values(path.last().unwrap(), rule) {
                let base = &requests.bytes(method_name)[..];
                let mut request = DynamicMessage::decode(method.input(), base).unwrap();
                let what = format!("{method_name} {field} {value:?}");
                set(&mut request, &path, value);
                assert_eq!(request.descriptor(), method.input());
                match call(&service, &method, request).await {
                    Ok(()) => assert!(is_allowed, "{what} was accepted"),
                    Err(status) if status.code() == Code::InvalidArgument => {
                        let named = named(&status);
                        assert!(!is_allowed, "{what}: {status:?}");
                        // A stage's field is named by its stage.
                        assert!(named.contains(&field), "{what}: {named:?}");
                    }
                    Err(status) => {
                        assert!(is_allowed, "{what}: {status:?}");
                        let expected = [
                            Code::NotFound,
                            Code::AlreadyExists,
                            Code::FailedPrecondition,
                            Code::OutOfRange,
                        ];
                        assert!(expected.contains(&status.code()), "{what}: {status:?}");
                    }
                }
            }
        }
    }
    // All of it left the service as it was.
    service.get(&requests.job_id).await;
}

#[tokio::test]
async fn the_largest_log_is_one_gap_and_no_number_in_it_wraps() {
    let service = Service::without_runner().await;
    let runner = RawRunner::with_capacity(&service, 1).await;
    let job = service.create(pipeline("p", [stage("s", "true")])).await;
    let job = service.trigger(&job).await;
    let lease = runner.start().await;
    let mut client = runner.client.clone();
    let append = |offset: i64, dropped_bytes: i64, data: &'static [u8]| lease::AppendLogRequest {
        proof: Some(lease::LeaseProof {
            lease_id: lease.id.clone(),
            fencing_token: lease.fencing_token,
        }),
        offset,
        data: data.into(),
        dropped_bytes,
    };
    let huge = client.append_log(append(1 << 62, 1 << 62, b"")).await;
    assert_eq!(refusal(huge).0, Code::InvalidArgument);
    let appended = client
        .append_log(append(MAX_LOG - 1, MAX_LOG - 1, b"x"))
        .await;
    assert_eq!(appended.unwrap().into_inner().committed_offset, MAX_LOG);
    for (offset, dropped, field) in [
        (MAX_LOG, 0, "offset"),
        (i64::MAX, 0, "offset"),
        (i64::MAX, i64::MAX, "offset"),
        (1 << 62, 1 << 62, "dropped_bytes"),
    ] {
        let status = client.append_log(append(offset, dropped, b"y")).await;
        let (code, _, fields) = refusal(status);
        assert_eq!(code, Code::InvalidArgument);
        assert!(fields.contains(&field.to_owned()), "{fields:?}");
    }
    let run = &service.get(&job.id).await.stage_runs[0];
    assert_eq!(run.log_size_bytes, MAX_LOG);
    // Past the limit of the log it makes no difference that the runner dropped them.
    let loss = run.log_loss.unwrap();
    let missing = loss.runner_dropped_bytes + loss.size_limit_bytes;
    assert_eq!((missing, loss.not_stored_bytes), (MAX_LOG - 1, 0));
    for offset in [0, -1, i64::MIN, MAX_LOG - 1] {
        let request = v1::ReadStageLogRequest {
            job_id: job.id.clone(),
            stage_name: "s".to_owned(),
            offset,
            ..Default::default()
        };
        let mut jobs = service.jobs();
        let mut stream = jobs.read_stage_log(request).await.unwrap().into_inner();
        let mut next = 0;
        while let Some(message) = stream.message().await.unwrap() {
            assert!(message.next_offset > next);
            next = message.next_offset;
        }
        assert_eq!(next, MAX_LOG);
    }
}
