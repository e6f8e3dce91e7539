//! Sets up the data of a service before a measurement, and the two sides to measure.

use std::{cell::OnceCell, process::Command, time::Duration};

use pipewright::proto::v1::{self, pipeline_service_client::PipelineServiceClient};
use prost::Message;
use tempfile::TempDir;
use tonic::{Request, metadata::AsciiMetadataValue, transport::Channel};

use crate::{
    bare,
    crowds::{CROWD, channel, stage},
    load::{Pace, Plan, Until},
    mode::Mode,
    server::{Server, binary},
};

pub(crate) const TRIGGER: &str = "/pipewright.v1.PipelineService/TriggerPipeline";
/// Flags of a service with the highest limits of jobs.
pub(crate) const ANY_NUMBER_OF_JOBS: [&str; 4] = [
    "--max-active-jobs",
    "1000000",
    "--max-queued-stages",
    "10000000",
];

/// A service, with the credentials for it.
pub(crate) struct Ours {
    pub(crate) server: Server,
    pub(crate) authorization: Option<String>,
    channel: OnceCell<Channel>,
    _credentials: Option<TempDir>,
}

impl Ours {
    /// A service without authentication.
    pub(crate) fn open(flags: &[&str]) -> Self {
        Self {
            server: Server::pipewright(flags),
            authorization: None,
            channel: OnceCell::new(),
            _credentials: None,
        }
    }

    /// A service with all its layers, and with authentication by token, as a team runs it.
    pub(crate) fn guarded(flags: &[&str]) -> Self {
        let directory = TempDir::new().unwrap();
        let file = directory.path().join("credentials.toml");
        let file = file.to_str().unwrap();
        let mut command = Command::new(binary());
        command.args([
            "token",
            "create",
            "bench",
            "--role",
            "admin",
            "--credentials",
            file,
        ]);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let token = String::from_utf8(output.stdout).unwrap();
        let flags = [flags, &["--credentials", file]].concat();
        Self {
            server: Server::pipewright(&flags),
            authorization: Some(format!("Bearer {}", token.trim())),
            channel: OnceCell::new(),
            _credentials: Some(directory),
        }
    }

    pub(crate) fn channel(&self) -> Channel {
        let channel = self
            .channel
            .get_or_init(|| channel(CROWD, self.server.address));
        channel.clone()
    }

    pub(crate) fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if let Some(value) = &self.authorization {
            let value: AsciiMetadataValue = value.parse().unwrap();
            request.metadata_mut().insert("authorization", value);
        }
        request
    }

    pub(crate) async fn create(&self, pipeline: v1::Pipeline) -> v1::Pipeline {
        let request = self.request(v1::CreatePipelineRequest {
            pipeline: Some(pipeline),
            ..Default::default()
        });
        let mut pipelines = PipelineServiceClient::new(self.channel());
        let created = pipelines.create_pipeline(request).await.unwrap();
        created.into_inner().pipeline.unwrap()
    }

    /// Creates a pipeline and starts a job of it.
    pub(crate) async fn trigger(&self, pipeline: v1::Pipeline) -> v1::Job {
        let request = self.request(v1::TriggerPipelineRequest {
            pipeline_id: self.create(pipeline).await.id,
            ..Default::default()
        });
        let mut pipelines = PipelineServiceClient::new(self.channel());
        let triggered = pipelines.trigger_pipeline(request).await.unwrap();
        triggered.into_inner().job.unwrap()
    }

    /// Four connections of 32 streams each.
    pub(crate) fn plan(&self, path: &str, messages: Vec<Vec<u8>>, mode: Mode) -> Plan {
        Plan {
            address: self.server.address,
            path: path.to_owned(),
            authorization: self.authorization.clone(),
            messages,
            connections: 4,
            pace: Pace::Closed {
                streams_per_connection: 32,
            },
            until: Until::Elapsed(mode.round()),
        }
    }
}

/// The load of a plan on another server, which echoes a request for a pipeline.
pub(crate) fn echo(server: &Server, like: &Plan) -> Plan {
    let request = v1::GetPipelineRequest {
        pipeline_id: "019a0000-0000-7000-8000-000000000000".to_owned(),
        revision: 0,
    };
    Plan {
        address: server.address,
        path: bare::ECHO.to_owned(),
        authorization: None,
        messages: vec![request.encode_to_vec()],
        ..like.clone()
    }
}

/// Calls that get an existing pipeline.
pub(crate) async fn get(ours: &Ours, mode: Mode) -> Plan {
    let request = v1::GetPipelineRequest {
        pipeline_id: ours.create(pipeline("service")).await.id,
        revision: 0,
    };
    let path = "/pipewright.v1.PipelineService/GetPipeline";
    ours.plan(path, vec![request.encode_to_vec()], mode)
}

pub(crate) fn trigger(pipeline: &v1::Pipeline) -> Vec<u8> {
    let request = v1::TriggerPipelineRequest {
        pipeline_id: pipeline.id.clone(),
        ..Default::default()
    };
    request.encode_to_vec()
}

/// A typical pipeline of a team.
pub(crate) fn pipeline(name: &str) -> v1::Pipeline {
    let mut test = stage("test", "cargo test --locked --all-targets");
    test.needs = vec!["build".to_owned()];
    test.timeout = Some(Duration::from_secs(1_800).try_into().unwrap());
    let mut deploy = stage("deploy", "./deploy --environment staging --wait");
    deploy.needs = vec!["test".to_owned()];
    deploy.set_type(v1::stage::Type::Deploy);
    v1::Pipeline {
        name: name.to_owned(),
        git_repository: "https://git.example.com/team/service.git".to_owned(),
        default_ref: "main".to_owned(),
        stages: vec![
            stage("build", "cargo build --release --locked"),
            test,
            deploy,
        ],
        variables: [("RUST_LOG".to_owned(), "info".to_owned())].into(),
        ..Default::default()
    }
}
