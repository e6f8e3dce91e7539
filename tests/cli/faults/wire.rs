//! Malformed HTTP/2, or floods of it: other clients do not notice.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tonic::Code;
use tonic_types::StatusExt;

use pipewright::proto::v1::{self, job_service_client::JobServiceClient};

use crate::{
    binary::Served,
    crowds::{CROWD, NEIGHBOUR, channel, job, stage},
    faults::beside::beside,
    frames,
};

#[tokio::test]
async fn floods_and_malformed_frames_harm_no_other_client() {
    let served = Served::start(&["--no-embedded-runner"]);
    let neighbour = channel(NEIGHBOUR, served.address);
    let job = job(&neighbour, vec![stage("s", "true")]).await;
    for (what, sent) in frames::floods().into_iter().chain(frames::malformed()) {
        let sent = frames::send(served.address, &sent);
        let answer = beside(&neighbour, &job, sent).await;
        assert!(!answer.is_empty(), "{what}: it was spoken to");
    }
    served.ends_well();
}

#[tokio::test]
async fn a_message_over_the_limit_gets_one_clear_error() {
    let served = Served::start(&["--no-embedded-runner"]);
    let own = channel(CROWD, served.address);
    let neighbour = channel(NEIGHBOUR, served.address);
    let job = job(&neighbour, vec![stage("s", "true")]).await;
    let request = v1::GetJobRequest {
        job_id: "x".repeat(1 << 20),
    };
    let mut jobs = JobServiceClient::new(own);
    for _ in 0..32 {
        let refused = jobs.get_job(request.clone());
        let refused = beside(&neighbour, &job, refused).await.unwrap_err();
        assert_eq!(refused.code(), Code::ResourceExhausted, "{refused:?}");
        let info = refused.get_details_error_info().unwrap();
        assert_eq!(info.reason, "MESSAGE_TOO_LARGE");
        assert_eq!(info.metadata["limit"], "65536");
    }
    served.ends_well();
}

#[tokio::test]
async fn bytes_that_are_not_http_get_a_response_or_a_close() {
    let served = Served::start(&["--no-embedded-runner", "--request-timeout", "1s"]);
    let neighbour = channel(NEIGHBOUR, served.address);
    let job = job(&neighbour, vec![stage("s", "true")]).await;
    for (_, sent) in frames::malformed() {
        let garbage = async {
            let mut stream = frames::connect(CROWD, served.address).await;
            let _ = stream.write_all(&sent).await;
            let _ = stream.read_to_end(&mut Vec::new()).await;
        };
        beside(&neighbour, &job, garbage).await;
    }
    served.ends_well();
}
