use std::{sync::Arc, time::Duration};

use rand::{RngExt, rngs::StdRng};
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use crate::{
    domain::{ConcurrencyPolicy, JobId},
    engine::{
        Call, Error, RequestIdentity,
        tests::world::{caller, spec, trigger_of},
    },
    store::SimulatedDisk,
};

use super::{
    machine::Service,
    record::{Creation, Record, Triggered},
};

const MAX_PIPELINES: usize = 3;
const MAX_TRIGGERS: usize = 10;

/// A client that creates, triggers, cancels and reads, and repeats its calls.
pub(super) struct Client {
    pub(super) service: Service,
    pub(super) record: Record,
    pub(super) chance: StdRng,
}

impl Client {
    pub(super) async fn act(mut self) {
        loop {
            let patience = match self.chance.random_range(0..5) {
                0 => Duration::from_millis(self.chance.random_range(0..30)),
                _ => Duration::from_secs(60),
            };
            // A client that gives up does not know what becomes of its call.
            let _ = timeout(patience, self.call()).await;
            let pause = match self.chance.random_range(0..4) {
                0 => 0,
                1 => self.chance.random_range(0..50),
                _ => self.chance.random_range(0..6_000),
            };
            sleep(Duration::from_millis(pause)).await;
        }
    }

    async fn call(&mut self) {
        match self.chance.random_range(0..10) {
            0..2 => self.create().await,
            2..6 => self.trigger().await,
            6 => self.cancel().await,
            _ => self.get().await,
        }
    }

    async fn create(&mut self) {
        let index = {
            let mut told = self.record.lock();
            let count = told.creations.len();
            if count < MAX_PIPELINES {
                told.creations.push(Creation {
                    request: Uuid::from_u128(self.chance.random()),
                    name: format!("p{count}"),
                    response: None,
                });
                count
            } else {
                self.chance.random_range(0..count)
            }
        };
        create(&self.service, &self.record, index).await;
    }

    async fn trigger(&mut self) {
        let index = {
            let mut told = self.record.lock();
            let pipelines = told.creations.iter().filter_map(|made| made.response);
            let pipelines: Vec<_> = pipelines.collect();
            let count = told.triggers.len();
            let is_new = count < MAX_TRIGGERS && self.chance.random_range(0..3) > 0;
            if pipelines.is_empty() {
                return;
            } else if is_new || count == 0 {
                told.triggers.push(Triggered {
                    request: Uuid::from_u128(self.chance.random()),
                    pipeline: pipelines[self.chance.random_range(0..pipelines.len())],
                    response: None,
                });
                count
            } else {
                self.chance.random_range(0..count)
            }
        };
        trigger(&self.service, &self.record, index).await;
    }

    async fn cancel(&mut self) {
        let Some((id, floor)) = any_job(&self.record, &mut self.chance) else {
            return;
        };
        let jobs = self.service.engine.jobs();
        let call = caller();
        let cancelled = jobs.cancel(&call, id, String::new());
        match self.service.respond(cancelled).await {
            Ok(view) => {
                let mut told = self.record.lock();
                told.respond(format!("cancel {id}: {}", view.job.last_sequence));
                told.shown(&view.job, floor);
            }
            Err(error) => self.refused(id, &error),
        }
    }

    async fn get(&mut self) {
        let Some((id, floor)) = any_job(&self.record, &mut self.chance) else {
            return;
        };
        get(&self.service, &self.record, id, floor).await;
    }

    fn refused(&self, id: JobId, error: &Error) {
        let mut told = self.record.lock();
        told.respond(format!("{id}: {error}"));
        if matches!(error, Error::JobNotFound(_)) {
            told.violate(format!("I1: job {id} is lost"));
        }
    }
}

/// Reads whenever a write begins: what is on its way to the disk must not be shown.
pub(super) async fn read_during_writes(
    service: Service,
    record: Record,
    disk: Arc<SimulatedDisk>,
    mut chance: StdRng,
) {
    loop {
        disk.begun.notified().await;
        if let Some((id, floor)) = any_job(&record, &mut chance) {
            get(&service, &record, id, floor).await;
        }
    }
}

/// A job, and the greatest sequence that was shown of it.
fn any_job(record: &Record, chance: &mut StdRng) -> Option<(JobId, i64)> {
    let told = record.lock();
    let count = told.jobs.len();
    if count == 0 {
        return None;
    }
    let index = chance.random_range(0..count);
    told.jobs.iter().nth(index).map(|(id, seen)| (*id, *seen))
}

fn repeatable(request: Uuid) -> Call {
    let identity = RequestIdentity {
        id: request,
        fingerprint: [7; 32],
    };
    Call {
        request: Some(identity),
        ..caller()
    }
}

pub(super) async fn create(service: &Service, record: &Record, index: usize) {
    let (call, spec) = {
        let told = record.lock();
        let policies = [
            ConcurrencyPolicy::Allow,
            ConcurrencyPolicy::Queue,
            ConcurrencyPolicy::CancelRunning,
        ];
        let creation = &told.creations[index];
        let mut spec = spec(&["a", "b"], policies[index % policies.len()]);
        spec.name.clone_from(&creation.name);
        (repeatable(creation.request), spec)
    };
    let pipelines = service.engine.pipelines();
    let created = pipelines.create(&call, "default".to_owned(), spec, false);
    let created = service.respond(created).await;
    let mut told = record.lock();
    match created {
        Ok(pipeline) => {
            told.respond(format!("create {index}: {}", pipeline.id));
            told.created(index, pipeline.id);
        }
        Err(error) => told.respond(format!("create {index}: {error}")),
    }
}

pub(super) async fn trigger(service: &Service, record: &Record, index: usize) {
    let (call, request) = {
        let told = record.lock();
        let triggered = &told.triggers[index];
        let mut request = trigger_of(triggered.pipeline);
        // Tells the jobs of different calls apart.
        let number = index.to_string();
        request.variables.insert("NUMBER".to_owned(), number);
        (repeatable(triggered.request), request)
    };
    let jobs = service.engine.jobs();
    let triggered = service.respond(jobs.trigger(&call, request)).await;
    let mut told = record.lock();
    match triggered {
        Ok(job) => {
            told.respond(format!("trigger {index}: {} {:?}", job.id, job.state));
            told.triggered(index, &job);
        }
        Err(error) => {
            told.respond(format!("trigger {index}: {error}"));
            if matches!(error, Error::PipelineNotFound(_) | Error::JobNotFound(_)) {
                told.violate(format!("I1: trigger {index}: {error}"));
            }
        }
    }
}

pub(super) async fn get(service: &Service, record: &Record, id: JobId, floor: i64) {
    let jobs = service.engine.jobs();
    let call = caller();
    let found = service.respond(jobs.get(&call, id)).await;
    let mut told = record.lock();
    match found {
        Ok(view) => {
            let job = view.job;
            told.respond(format!("get {id}: {} {:?}", job.last_sequence, job.state));
            told.shown(&job, floor);
        }
        Err(error) => {
            told.respond(format!("get {id}: {error}"));
            if matches!(error, Error::JobNotFound(_)) {
                told.violate(format!("I1: job {id} is lost"));
            }
        }
    }
}
