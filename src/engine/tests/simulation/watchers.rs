use std::time::Duration;

use prost::Message;
use rand::{RngExt, rngs::StdRng};
use tokio::time::{sleep, timeout};

use crate::{
    domain::JobId,
    engine::{
        Error, Opening,
        tests::{history::Seen, world::caller},
    },
    proto::v1::{self, job_event::Change, watch_job_response::Payload},
};

use super::{WATCHERS, machine::Service, record::Record};

/// Watches jobs, is cut off at times, and resumes.
pub(super) struct Watcher {
    pub(super) number: u32,
    pub(super) life: u64,
    pub(super) service: Service,
    pub(super) record: Record,
    pub(super) chance: StdRng,
}

impl Watcher {
    pub(super) async fn watch_some(mut self) {
        loop {
            let jobs: Vec<JobId> = self.record.lock().jobs.keys().copied().collect();
            let open: Vec<JobId> = jobs
                .into_iter()
                .filter(|id| self.is_to_watch(*id))
                .collect();
            if !open.is_empty() {
                let id = open[self.chance.random_range(0..open.len())];
                let lasts = Duration::from_millis(self.chance.random_range(0..20_000));
                let _ = timeout(lasts, self.watch(id)).await;
            }
            let pause = self.chance.random_range(0..2_000);
            sleep(Duration::from_millis(pause)).await;
        }
    }

    /// Whether it has not seen the end of a job, and watches it in this life of the service. Each
    /// job has one watcher at a time, and they take turns: tokio wakes the receivers of a `watch`
    /// channel in a random order.
    pub(super) fn is_to_watch(&self, id: JobId) -> bool {
        let is_its_turn =
            (u64::from(number(id)) + self.life) % u64::from(WATCHERS) == u64::from(self.number);
        let told = self.record.lock();
        let cursor = told.watches.get(&(self.number, id));
        is_its_turn && !cursor.is_some_and(|cursor| cursor.is_over)
    }

    /// Watches a job to its end, whatever it takes.
    pub(super) async fn watch_to_its_end(self, id: JobId) {
        while self.watch(id).await.is_err() {
            sleep(Duration::from_secs(1)).await;
        }
    }

    /// Watches from where an earlier watch ended.
    async fn watch(&self, id: JobId) -> Result<(), Error> {
        let place = (self.number, id);
        let (cursor, job) = {
            let mut told = self.record.lock();
            let cursor = *told.watches.entry(place).or_default();
            (cursor, number(id))
        };
        let jobs = self.service.engine.jobs();
        let call = caller();
        let opened = jobs.watch(&call, id, Some(cursor.sequence));
        let (opening, mut watch) = self.service.respond(opened).await?;
        if matches!(opening, Opening::Ahead(_)) {
            let seen = cursor.sequence;
            let violation = format!("I1: events of job {id} are lost, the last seen was {seen}");
            self.record.violate(violation);
        }
        while !watch.is_over() {
            while let Some(message) = watch.take().await? {
                let mut told = self.record.lock();
                for event in events(&message) {
                    told.respond(format!("watch {place:?}: {}", event.sequence));
                    told.watches.entry(place).or_default().sequence = event.sequence;
                    let newest = told.jobs.entry(id).or_default();
                    *newest = event.sequence.max(*newest);
                    told.seen.push(Seen::Event {
                        watcher: self.number,
                        job,
                        sequence: event.sequence,
                        what: format!("{event:?}"),
                        is_terminal: matches!(event.change, Some(Change::JobEnded(_))),
                    });
                }
            }
            if !watch.is_over() {
                watch.changed().await;
            }
        }
        let mut told = self.record.lock();
        told.watches.entry(place).or_default().is_over = true;
        let watcher = self.number;
        told.seen.push(Seen::WatchEnded { watcher, job });
        Ok(())
    }
}

/// The ids of a simulation are small numbers.
fn number(id: JobId) -> u32 {
    u32::try_from(id.0.as_u128()).unwrap()
}

fn events(message: &[u8]) -> Vec<v1::JobEvent> {
    let response = v1::WatchJobResponse::decode(message).unwrap();
    match response.payload {
        Some(Payload::Events(batch)) => batch.events,
        other => panic!("no events: {other:?}"),
    }
}
