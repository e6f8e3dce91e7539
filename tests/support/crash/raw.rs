//! A runner that is a part of the driver: it sees leases and fencing tokens.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use pipewright::proto::runner_v1::{
    self as v1, Directive, Outcome, lease_service_client::LeaseServiceClient,
};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tonic::{Code, Status, transport::Channel};
use tonic_types::StatusExt;
use uuid::Uuid;

use super::{
    World,
    calls::is_unclear,
    history::Seen,
    stages::{Attempt, LINES, POOL},
};

/// Bytes that are appended by one call.
const CHUNK: usize = 1_000;
/// How long one call for a lease waits.
const WAIT: Duration = Duration::from_secs(1);

pub(crate) struct RawRunner {
    client: LeaseServiceClient<Channel>,
    chance: StdRng,
    id: String,
    session: String,
}

impl RawRunner {
    pub(crate) fn new(world: &World, seed: u64) -> Self {
        Self {
            client: LeaseServiceClient::new(world.gateway.channel()),
            chance: StdRng::seed_from_u64(seed),
            id: String::new(),
            session: Uuid::new_v4().to_string(),
        }
    }

    /// Takes and ends leases until all work is done.
    pub(crate) async fn work(mut self, world: Arc<World>) {
        self.register(&world).await;
        while !world.is_done() {
            if let Some(lease) = self.acquire(&world).await {
                self.run(&world, &lease).await;
            }
        }
    }

    /// Once: it is registered in all later services.
    async fn register(&mut self, world: &World) {
        let request = v1::RegisterRunnerRequest {
            display_name: "raw".to_owned(),
            capacity: 1,
            version: "0".to_owned(),
            session_id: self.session.clone(),
            labels: [(POOL.to_owned(), "raw".to_owned())].into(),
            ..Default::default()
        };
        let registered = world
            .repeat(|| {
                let (mut client, request) = (self.client.clone(), request.clone());
                async move { client.register_runner(request).await }
            })
            .await;
        self.id = registered.expect("a registration").into_inner().runner_id;
    }

    async fn acquire(&self, world: &World) -> Option<v1::Lease> {
        let newest = world.newest_token.load(Ordering::Relaxed);
        let request = v1::AcquireLeaseRequest {
            runner_id: self.id.clone(),
            session_id: self.session.clone(),
            request_id: Uuid::new_v4().to_string(),
            max_wait: Some(WAIT.try_into().expect("a short time")),
            ..Default::default()
        };
        let acquired = world
            .repeat(|| {
                let (mut client, request) = (self.client.clone(), request.clone());
                async move { client.acquire_lease(request).await }
            })
            .await;
        let lease = acquired.expect("a lease or none").into_inner().lease?;
        if lease.fencing_token <= newest {
            world.fail(format!("I4: token {} after {newest}", lease.fencing_token));
        }
        world
            .newest_token
            .fetch_max(lease.fencing_token, Ordering::Relaxed);
        self.accepted(world, &lease);
        Some(lease)
    }

    fn accepted(&self, world: &World, lease: &v1::Lease) {
        let attempt = attempt(lease);
        world.saw(&Seen::Accepted {
            stage: format!("{}/{}", attempt.job, attempt.stage),
            token: lease.fencing_token,
        });
    }

    async fn run(&mut self, world: &World, lease: &v1::Lease) {
        let attempt = attempt(lease);
        if let Err(status) = self.renew(world, lease).await {
            // Nothing was promised before the first renewal.
            assert!(is_lost(&status), "{attempt}: {status:?}");
            return;
        }
        let log = attempt.lines(0..self.chance.random_range(0..LINES));
        if let Err(violation) = self.write_and_complete(world, lease, &log).await {
            return world.fail(format!("{attempt}: {violation}"));
        }
        match self.renew(world, lease).await {
            Err(status) if is_lost(&status) => {}
            other => world.fail(format!("I4: {attempt} is over, but {other:?}")),
        }
    }

    async fn write_and_complete(
        &self,
        world: &World,
        lease: &v1::Lease,
        log: &[u8],
    ) -> Result<(), String> {
        let (mut written, mut is_cancelled) = (0, false);
        loop {
            let ended = if written < log.len() && !is_cancelled {
                let end = log.len().min(written + CHUNK);
                let appended = self.append(world, lease, written, &log[written..end]).await;
                appended.map(|directive| {
                    written = end;
                    is_cancelled |= directive == Directive::Cancel;
                    false
                })
            } else {
                let outcome = if is_cancelled {
                    Outcome::Cancelled
                } else {
                    Outcome::Succeeded
                };
                self.complete(world, lease, outcome, written)
                    .await
                    .map(|()| true)
            };
            match ended {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                // What was appended and not synced is appended again.
                Err(status) if world.may_lose_log && committed_offset(&status).is_some() => {
                    written = committed_offset(&status).unwrap_or_default();
                }
                Err(status) => return Err(format!("at {written}: {status:?}")),
            }
            self.accepted(world, lease);
            let renewed = self.renew(world, lease).await;
            is_cancelled |=
                renewed.map_err(|status| format!("renewal: {status:?}"))? == Directive::Cancel;
        }
    }

    async fn append(
        &self,
        world: &World,
        lease: &v1::Lease,
        offset: usize,
        data: &[u8],
    ) -> Result<Directive, Status> {
        let request = v1::AppendLogRequest {
            proof: proof(lease),
            offset: i64::try_from(offset).expect("a small log"),
            data: data.to_vec().into(),
            dropped_bytes: 0,
        };
        let appended = world
            .repeat(|| {
                let (mut client, request) = (self.client.clone(), request.clone());
                async move { client.append_log(request).await }
            })
            .await;
        Ok(appended?.into_inner().directive())
    }

    async fn complete(
        &self,
        world: &World,
        lease: &v1::Lease,
        outcome: Outcome,
        size: usize,
    ) -> Result<(), Status> {
        let request = v1::CompleteLeaseRequest {
            proof: proof(lease),
            outcome: outcome.into(),
            log_size_bytes: i64::try_from(size).expect("a small log"),
            ..Default::default()
        };
        let completed = world
            .repeat(|| {
                let (mut client, request) = (self.client.clone(), request.clone());
                async move { client.complete_lease(request).await }
            })
            .await;
        completed.map(drop)
    }

    async fn renew(&self, world: &World, lease: &v1::Lease) -> Result<Directive, Status> {
        let request = v1::RenewLeaseRequest {
            proof: proof(lease),
            known_directive: Directive::Continue.into(),
            ..Default::default()
        };
        let renewed = world
            .repeat(|| {
                let (mut client, request) = (self.client.clone(), request.clone());
                async move { client.renew_lease(request).await }
            })
            .await;
        Ok(renewed?.into_inner().directive())
    }
}

fn attempt(lease: &v1::Lease) -> Attempt {
    let work = lease.work.as_ref().expect("a stage");
    Attempt {
        job: work.job_id.clone(),
        stage: work.stage_name.clone(),
        number: work.attempt,
    }
}

fn proof(lease: &v1::Lease) -> Option<v1::LeaseProof> {
    Some(v1::LeaseProof {
        lease_id: lease.id.clone(),
        fencing_token: lease.fencing_token,
    })
}

/// Where the service wants to have the log continued.
fn committed_offset(status: &Status) -> Option<usize> {
    let info = status.get_details_error_info()?;
    info.metadata.get("committed_offset")?.parse().ok()
}

fn is_lost(status: &Status) -> bool {
    status.code() == Code::FailedPrecondition && !is_unclear(status)
}
