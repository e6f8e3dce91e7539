//! Too many connections, stalled handshakes, and peers that have vanished.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use pipewright::proto::v1::{
    self, job_service_client::JobServiceClient, pipeline_service_client::PipelineServiceClient,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time,
};
use tonic::{
    Code,
    transport::{Certificate, ClientTlsConfig, Endpoint},
};
use tonic_types::StatusExt;

use crate::{
    binary::Served,
    crowds::{CROWD, NEIGHBOUR, PATIENCE, channel, get, job, stage, watch},
    faults::{beside::beside, proxy::Proxy},
    frames,
};

const MOST: usize = 16;

#[tokio::test]
async fn one_address_cannot_take_all_connections() {
    let most = MOST.to_string();
    let served = Served::start(&[
        "--no-embedded-runner",
        "--max-connections-per-address",
        &most,
    ]);
    let neighbour = channel(NEIGHBOUR, served.address);
    let job = job(&neighbour, vec![stage("s", "true")]).await;
    let crowd = async {
        let held: Vec<_> = (0..MOST).map(|_| channel(CROWD, served.address)).collect();
        for channel in &held {
            get(channel, &job).await.unwrap();
        }
        for _ in 0..2 * MOST {
            let refused = get(&channel(CROWD, served.address), &job).await;
            let refused = refused.unwrap_err();
            assert_eq!(refused.code(), Code::ResourceExhausted, "{refused:?}");
            let info = refused.get_details_error_info().unwrap();
            assert_eq!(info.metadata["setting"], "max_connections_per_address");
        }
        for _ in 0..100 {
            let at_once = (0..20).map(|_| frames::connect(CROWD, served.address));
            drop(join_all(at_once).await);
        }
        // Open connections stay open.
        for channel in &held {
            get(channel, &job).await.unwrap();
        }
    };
    beside(&neighbour, &job, crowd).await;
    // All other connection slots are free again.
    let asked = Instant::now();
    while get(&channel(CROWD, served.address), &job).await.is_err() {
        assert!(asked.elapsed() < PATIENCE);
    }
    served.ends_well();
}

/// Silent connections take no descriptor that a stage or a log needs.
#[tokio::test]
async fn connections_leave_open_files_for_stages() {
    const FILES: usize = 64;
    let arguments = ["--request-timeout", "1h"];
    let served = Served::start_with_files(FILES, &arguments);
    let neighbour = channel(NEIGHBOUR, served.address);
    let mut pipelines = PipelineServiceClient::new(neighbour.clone());
    let pipeline = v1::Pipeline {
        name: "p".to_owned(),
        parallel: true,
        stages: ["a", "b", "c", "d"]
            .map(|name| stage(name, "seq 100000"))
            .into(),
        ..Default::default()
    };
    let create = v1::CreatePipelineRequest {
        pipeline: Some(pipeline),
        ..Default::default()
    };
    let created = pipelines.create_pipeline(create).await.unwrap();
    let pipeline_id = created.into_inner().pipeline.unwrap().id;
    let connects = (0..100).map(|_| frames::connect(CROWD, served.address));
    let silent = join_all(connects).await;
    // Among them are connections that were closed, because there are too many.
    let asked = Instant::now();
    let refused = loop {
        let list = v1::ListPipelinesRequest::default();
        let mut late = PipelineServiceClient::new(channel(CROWD, served.address));
        match late.list_pipelines(list).await {
            Err(refused) if refused.code() == Code::ResourceExhausted => break refused,
            _ => assert!(asked.elapsed() < PATIENCE),
        }
    };
    let info = refused.get_details_error_info().unwrap();
    assert_eq!(info.metadata["setting"], "ulimit -n");

    // Each stage has pipes and a log, and two run concurrently.
    let trigger = v1::TriggerPipelineRequest {
        pipeline_id,
        ..Default::default()
    };
    let triggered = pipelines.trigger_pipeline(trigger).await.unwrap();
    let job = triggered.into_inner().job.unwrap();
    let mut watched = watch(&neighbour, &job, Some(0)).await.unwrap();
    while watched.message().await.unwrap().is_some() {}
    let get = v1::GetJobRequest { job_id: job.id };
    let ended = JobServiceClient::new(neighbour).get_job(get).await.unwrap();
    let ended = ended.into_inner().job.unwrap();
    assert_eq!(ended.state(), v1::job::State::Succeeded, "{ended:?}");
    drop(silent);
    served.ends_well();
}

#[tokio::test]
async fn stalled_handshakes_block_no_one() {
    let directory = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let (certificate, key) = (path("certificate"), path("key"));
    fs::write(&certificate, made.cert.pem()).unwrap();
    fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
    let served = Served::start(&[
        "--no-embedded-runner",
        "--tls-certificate",
        &certificate,
        "--tls-key",
        &key,
        "--handshake-timeout",
        "1s",
    ]);
    let tls = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(made.cert.pem()))
        .domain_name("localhost");
    let neighbour = Endpoint::from_shared(format!("https://{}", served.address)).unwrap();
    let neighbour = neighbour.tls_config(tls).unwrap().connect_lazy();
    let job = job(&neighbour, vec![stage("s", "true")]).await;
    let halfway = (0..500).map(async |_| {
        let mut stream = frames::connect(CROWD, served.address).await;
        stream
            .write_all(b"\x16\x03\x01\x02\0\x01\0\x01\xfc")
            .await
            .unwrap();
        let _ = stream.read_to_end(&mut Vec::new()).await;
    });
    let closed = time::timeout(PATIENCE, join_all(halfway));
    let closed = beside(&neighbour, &job, closed).await;
    assert!(closed.is_ok(), "each of them is closed");
    served.ends_well();
}

/// Silence after which a client has to respond, and the wait for it.
const KEEPALIVE: Duration = Duration::from_secs(1);
/// Further time that the detection may take.
const MARGIN: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_vanished_peer_is_detected_and_its_slots_are_freed() {
    const WATCHERS: usize = 8;
    let watchers = WATCHERS.to_string();
    let served = Served::start(&[
        "--no-embedded-runner",
        "--keepalive-interval",
        "1s",
        "--keepalive-timeout",
        "1s",
        "--max-streams-per-principal",
        &watchers,
        "--max-connections-per-address",
        "1",
    ]);
    let neighbour = channel(NEIGHBOUR, served.address);
    let job = job(&neighbour, vec![stage("s", "true")]).await;
    let proxy = Proxy::to(served.address);
    let gone = channel(CROWD, proxy.address);
    let mut streams = Vec::new();
    for _ in 0..WATCHERS {
        let mut stream = watch(&gone, &job, None).await.unwrap();
        stream.message().await.unwrap().unwrap();
        streams.push(stream);
    }
    // Its watchers hold all slots as long as it responds.
    let full = get(&neighbour, &job).await.unwrap_err();
    assert_eq!(full.code(), Code::ResourceExhausted);
    proxy.set_cut(true);
    let cut = Instant::now();
    while get(&neighbour, &job).await.is_err() {}
    while get(&channel(CROWD, served.address), &job).await.is_err() {}
    let took = cut.elapsed();
    assert!(took <= 2 * KEEPALIVE + MARGIN, "detected after {took:?}");
    served.ends_well();
}
