//! A simulated runner, which runs no command: it reports each stage as started and ended.

use std::time::Duration;

use pipewright::proto::runner_v1::{
    AcquireLeaseRequest, CompleteLeaseRequest, Lease, LeaseProof, Outcome, RegisterRunnerRequest,
    RenewLeaseRequest, lease_service_client::LeaseServiceClient,
};
use tonic::transport::Channel;
use uuid::Uuid;

#[derive(Clone)]
pub(crate) struct Player {
    leases: LeaseServiceClient<Channel>,
    runner_id: String,
    session_id: String,
}

impl Player {
    pub(crate) async fn register(channel: Channel, capacity: i32) -> Self {
        let mut leases = LeaseServiceClient::new(channel);
        let session_id = Uuid::now_v7().to_string();
        let request = RegisterRunnerRequest {
            display_name: "player".to_owned(),
            capacity,
            session_id: session_id.clone(),
            ..Default::default()
        };
        let registered = leases.register_runner(request).await.unwrap();
        Self {
            leases,
            runner_id: registered.into_inner().runner_id,
            session_id,
        }
    }

    /// Acquires the lease of a stage, if one is ready within this time.
    pub(crate) async fn acquire(&self, wait: Duration) -> Option<Lease> {
        let request = AcquireLeaseRequest {
            runner_id: self.runner_id.clone(),
            session_id: self.session_id.clone(),
            request_id: Uuid::now_v7().to_string(),
            max_wait: Some(wait.try_into().unwrap()),
            ..Default::default()
        };
        let acquired = self.leases.clone().acquire_lease(request).await;
        acquired.unwrap().into_inner().lease
    }

    /// Reports the progress of a running stage.
    pub(crate) async fn progress(&self, lease: &Lease, percent: i32) {
        let request = RenewLeaseRequest {
            proof: Some(proof(lease)),
            progress_percent: Some(percent),
            ..Default::default()
        };
        self.leases.clone().renew_lease(request).await.unwrap();
    }

    pub(crate) async fn complete(&self, lease: &Lease) {
        let request = CompleteLeaseRequest {
            proof: Some(proof(lease)),
            outcome: Outcome::Succeeded.into(),
            exit_code: Some(0),
            ..Default::default()
        };
        self.leases.clone().complete_lease(request).await.unwrap();
    }

    /// Completes this many waiting stages, with limited concurrency.
    pub(crate) async fn play(&self, stages: usize, at_once: usize) {
        let each = (0..at_once).map(async |_| {
            for _ in 0..stages / at_once {
                let lease = self.acquire(Duration::ZERO).await.expect("a stage waits");
                self.progress(&lease, 0).await;
                self.complete(&lease).await;
            }
        });
        futures_util::future::join_all(each).await;
    }
}

fn proof(lease: &Lease) -> LeaseProof {
    LeaseProof {
        lease_id: lease.id.clone(),
        fencing_token: lease.fencing_token,
    }
}
