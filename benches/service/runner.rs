//! A simulated runner, which runs no command: it acquires all stages of a job and reports
//! their progress.

use pipewright::proto::{
    runner_v1::{
        AcquireLeaseRequest, LeaseProof, RegisterRunnerRequest, RenewLeaseRequest,
        lease_service_client::LeaseServiceClient,
    },
    v1,
};
use prost::Message;
use uuid::Uuid;

use crate::{clients::Ours, crowds::stage};

pub(crate) const RENEW: &str = "/pipewright.runner.v1.LeaseService/RenewLease";
/// As many as a pipeline may have.
pub(crate) const STAGES: usize = 200;

/// A job with all its stages running.
pub(crate) struct Running {
    pub(crate) job: v1::Job,
    leases: Vec<LeaseProof>,
}

impl Running {
    pub(crate) async fn begin(ours: &Ours) -> Self {
        let stages = (0..STAGES).map(|number| stage(&format!("test-{number}"), "true"));
        let pipeline = v1::Pipeline {
            name: "service".to_owned(),
            stages: stages.collect(),
            parallel: true,
            ..Default::default()
        };
        let job = ours.trigger(pipeline).await;
        let mut leases = LeaseServiceClient::new(ours.channel());
        let session_id = Uuid::now_v7().to_string();
        let register = RegisterRunnerRequest {
            display_name: "bench".to_owned(),
            capacity: i32::try_from(STAGES).unwrap(),
            session_id: session_id.clone(),
            ..Default::default()
        };
        let registered = leases.register_runner(register).await.unwrap().into_inner();
        let mut proofs = Vec::new();
        for _ in 0..STAGES {
            let acquire = AcquireLeaseRequest {
                runner_id: registered.runner_id.clone(),
                session_id: session_id.clone(),
                request_id: Uuid::now_v7().to_string(),
                max_wait: Some(prost_types::Duration {
                    seconds: 5,
                    nanos: 0,
                }),
                ..Default::default()
            };
            let acquired = leases.acquire_lease(acquire).await.unwrap().into_inner();
            let lease = acquired.lease.expect("a stage to run");
            let proof = LeaseProof {
                lease_id: lease.id,
                fencing_token: lease.fencing_token,
            };
            leases.renew_lease(renewal(&proof, None)).await.unwrap();
            proofs.push(proof);
        }
        Self {
            job,
            leases: proofs,
        }
    }

    /// Progress reports for its stages, each of which results in one event: all at 1 %, then
    /// all at 2 %, and so on.
    pub(crate) fn progress(&self) -> impl Iterator<Item = Vec<u8>> {
        (1..=100).flat_map(|percent| {
            let renewals = self.leases.iter();
            renewals.map(move |proof| renewal(proof, Some(percent)).encode_to_vec())
        })
    }
}

fn renewal(proof: &LeaseProof, progress_percent: Option<i32>) -> RenewLeaseRequest {
    RenewLeaseRequest {
        proof: Some(proof.clone()),
        progress_percent,
        ..Default::default()
    }
}
