use std::{collections::BTreeMap, io, ops::Range, time::SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use rand::{RngExt, rngs::StdRng};
use tokio::sync::watch;

use crate::{
    blobs::logs::{AppendError, Kept, LogKey, LogRead, LogStore, WriteTime},
    domain::{JobId, LogLoss, RunKey},
};

/// Logs of which a crash keeps what was synced, and maybe more.
#[derive(Default)]
pub(super) struct Logs(Mutex<BTreeMap<(JobId, RunKey), Log>>);

#[derive(Default)]
struct Log {
    bytes: Vec<u8>,
    synced: usize,
    is_closed: bool,
    size: watch::Sender<u64>,
}

impl Logs {
    pub(super) fn crash(&self, chance: &mut StdRng) {
        for log in self.0.lock().values_mut() {
            let left = chance.random_range(log.synced..=log.bytes.len());
            log.bytes.truncate(left);
            log.is_closed = false;
            log.size = watch::Sender::new(left as u64);
        }
    }
}

fn place(key: LogKey) -> (JobId, RunKey) {
    (key.job_id, key.run)
}

#[async_trait]
impl LogStore for Logs {
    async fn append(
        &self,
        key: LogKey,
        offset: u64,
        dropped: u64,
        data: Bytes,
    ) -> Result<Kept, AppendError> {
        let mut logs = self.0.lock();
        let log = logs.entry(place(key)).or_default();
        if log.is_closed {
            return Err(AppendError::Ended);
        }
        let size = log.bytes.len() as u64;
        if offset.saturating_sub(dropped) > size {
            return Err(AppendError::Hole { committed: size });
        }
        let missing = usize::try_from(offset.saturating_sub(size)).unwrap();
        log.bytes.extend(std::iter::repeat_n(b'?', missing));
        let known = usize::try_from(size.saturating_sub(offset)).unwrap();
        log.bytes.extend(data.iter().skip(known));
        let size = log.bytes.len() as u64;
        log.size.send_replace(size);
        Ok(Kept::all(size))
    }

    async fn read(
        &self,
        key: LogKey,
        offset: u64,
        until: u64,
        limit: usize,
    ) -> io::Result<LogRead> {
        let logs = self.0.lock();
        let bytes = logs.get(&place(key)).map(|log| &*log.bytes);
        let bytes = bytes.unwrap_or_default().iter().copied();
        let length = usize::try_from(until.saturating_sub(offset)).unwrap();
        let offset = usize::try_from(offset).unwrap();
        let found: Bytes = bytes.skip(offset).take(length.min(limit)).collect();
        Ok(if found.is_empty() {
            LogRead::End
        } else {
            LogRead::Bytes(found)
        })
    }

    async fn times(&self, _: LogKey, _: Range<u64>) -> io::Result<Vec<WriteTime>> {
        Ok(vec![WriteTime {
            offset: 0,
            time: SystemTime::UNIX_EPOCH,
        }])
    }

    fn size(&self, key: LogKey) -> u64 {
        let logs = self.0.lock();
        logs.get(&place(key))
            .map_or(0, |log| log.bytes.len() as u64)
    }

    fn loss(&self, _: LogKey) -> LogLoss {
        LogLoss::default()
    }

    fn subscribe(&self, key: LogKey) -> watch::Receiver<u64> {
        let mut logs = self.0.lock();
        logs.entry(place(key)).or_default().size.subscribe()
    }

    async fn sync(&self, key: LogKey) -> io::Result<Kept> {
        tokio::task::yield_now().await;
        let mut logs = self.0.lock();
        let Some(log) = logs.get_mut(&place(key)) else {
            return Ok(Kept::all(0));
        };
        log.synced = log.bytes.len();
        Ok(Kept::all(log.synced as u64))
    }

    async fn close(&self, key: LogKey) {
        if let Some(log) = self.0.lock().get_mut(&place(key)) {
            log.is_closed = true;
        }
    }

    async fn remove(&self, job_id: JobId) -> io::Result<()> {
        self.0.lock().retain(|(of, _), _| *of != job_id);
        Ok(())
    }

    async fn jobs(&self) -> io::Result<Vec<JobId>> {
        let mut jobs: Vec<JobId> = self.0.lock().keys().map(|(job_id, _)| *job_id).collect();
        jobs.dedup();
        Ok(jobs)
    }

    fn stored(&self) -> u64 {
        let logs = self.0.lock();
        logs.values().map(|log| log.bytes.len() as u64).sum()
    }
}
