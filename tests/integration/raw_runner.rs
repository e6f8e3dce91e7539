//! A runner that only makes calls, so that a test decides when each is made.

use std::time::Duration;

use pipewright::proto::runner_v1::{
    self as v1, Directive, Outcome, lease_service_client::LeaseServiceClient,
};
use tonic::{Code, Status, transport::Channel};
use uuid::Uuid;

use crate::service::{Service, map, refusal};

/// Longer than any test takes; a call that is held this long has failed.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Clone)]
pub(crate) struct RawRunner {
    pub(crate) client: LeaseServiceClient<Channel>,
    pub(crate) id: String,
    pub(crate) session: String,
}

/// A valid registration.
pub(crate) fn registration() -> v1::RegisterRunnerRequest {
    v1::RegisterRunnerRequest {
        display_name: "raw".to_owned(),
        capacity: 1,
        version: "0".to_owned(),
        session_id: id(),
        ..Default::default()
    }
}

pub(crate) fn id() -> String {
    Uuid::new_v4().to_string()
}

impl RawRunner {
    pub(crate) async fn register(service: &Service, request: v1::RegisterRunnerRequest) -> Self {
        let mut client = LeaseServiceClient::new(service.channel.clone());
        let session = request.session_id.clone();
        let registered = client.register_runner(request).await.unwrap().into_inner();
        Self {
            client,
            id: registered.runner_id,
            session,
        }
    }

    /// A runner with this capacity.
    pub(crate) async fn with_capacity(service: &Service, capacity: i32) -> Self {
        let request = v1::RegisterRunnerRequest {
            capacity,
            ..registration()
        };
        Self::register(service, request).await
    }

    pub(crate) async fn with_labels(service: &Service, labels: &[(&str, &str)]) -> Self {
        let request = v1::RegisterRunnerRequest {
            labels: map(labels),
            ..registration()
        };
        Self::register(service, request).await
    }

    pub(crate) async fn with_actions(service: &Service, actions: &[&str]) -> Self {
        let request = v1::RegisterRunnerRequest {
            actions: actions.iter().map(|name| (*name).to_owned()).collect(),
            ..registration()
        };
        Self::register(service, request).await
    }

    /// The same runner in a new process.
    pub(crate) async fn restarted(&self, service: &Service) -> Self {
        let request = v1::RegisterRunnerRequest {
            runner_id: self.id.clone(),
            ..registration()
        };
        Self::register(service, request).await
    }

    pub(crate) async fn ask(
        &self,
        request_id: &str,
        max_wait: Duration,
    ) -> Result<v1::AcquireLeaseResponse, Status> {
        let request = v1::AcquireLeaseRequest {
            runner_id: self.id.clone(),
            session_id: self.session.clone(),
            request_id: request_id.to_owned(),
            max_wait: Some(max_wait.try_into().unwrap()),
            held_job_ids: Vec::new(),
            leaving: false,
        };
        let answer = self.client.clone().acquire_lease(request).await?;
        Ok(answer.into_inner())
    }

    /// Waits for a lease.
    pub(crate) async fn take(&self) -> v1::Lease {
        let answer = self.ask(&id(), PATIENCE).await.unwrap();
        answer.lease.expect("a lease before patience ends")
    }

    /// A lease that is available right now.
    pub(crate) async fn try_take(&self) -> Option<v1::Lease> {
        self.ask(&id(), Duration::ZERO).await.unwrap().lease
    }

    /// A confirmed lease.
    pub(crate) async fn start(&self) -> v1::Lease {
        let lease = self.take().await;
        self.renew(&lease, Duration::ZERO).await.unwrap();
        lease
    }

    pub(crate) async fn renew(
        &self,
        lease: &v1::Lease,
        max_wait: Duration,
    ) -> Result<v1::RenewLeaseResponse, Status> {
        let request = v1::RenewLeaseRequest {
            proof: proof(lease),
            max_wait: Some(max_wait.try_into().unwrap()),
            known_directive: Directive::Continue.into(),
            ..Default::default()
        };
        let answer = self.client.clone().renew_lease(request).await?;
        Ok(answer.into_inner())
    }

    /// Renews, each call held as long as allowed, until the lease is lost.
    pub(crate) async fn keep(&self, lease: &v1::Lease) -> Status {
        loop {
            if let Err(status) = self.renew(lease, PATIENCE).await {
                return status;
            }
        }
    }

    pub(crate) async fn append(
        &self,
        lease: &v1::Lease,
        offset: i64,
        data: &'static [u8],
    ) -> Result<i64, Status> {
        let request = v1::AppendLogRequest {
            proof: proof(lease),
            offset,
            data: data.into(),
            dropped_bytes: 0,
        };
        let answer = self.client.clone().append_log(request).await?;
        Ok(answer.into_inner().committed_offset)
    }

    /// Ends a lease whose log has `log_size_bytes`.
    pub(crate) async fn complete(
        &self,
        lease: &v1::Lease,
        outcome: Outcome,
        log_size_bytes: i64,
    ) -> Result<(), Status> {
        let request = v1::CompleteLeaseRequest {
            proof: proof(lease),
            outcome: outcome.into(),
            log_size_bytes,
            ..Default::default()
        };
        self.client.clone().complete_lease(request).await.map(drop)
    }

    pub(crate) async fn succeed(&self, lease: &v1::Lease) {
        self.complete(lease, Outcome::Succeeded, 0).await.unwrap();
    }

    /// Checks that no write under this lease is accepted.
    pub(crate) async fn is_fenced(&self, lease: &v1::Lease) {
        assert_lost(self.append(lease, 0, b"x").await);
        assert_lost(self.complete(lease, Outcome::Succeeded, 0).await);
        assert_lost(self.renew(lease, Duration::ZERO).await);
    }
}

pub(crate) fn proof(lease: &v1::Lease) -> Option<v1::LeaseProof> {
    Some(v1::LeaseProof {
        lease_id: lease.id.clone(),
        fencing_token: lease.fencing_token,
    })
}

pub(crate) fn work(lease: &v1::Lease) -> (&str, i32) {
    let work = lease.work.as_ref().unwrap();
    (&work.stage_name, work.attempt)
}

#[track_caller]
pub(crate) fn assert_lost<T: std::fmt::Debug>(answer: Result<T, Status>) {
    let (code, reason, _) = refusal(answer);
    assert_eq!(
        (code, reason.as_str()),
        (Code::FailedPrecondition, "LEASE_LOST")
    );
}
