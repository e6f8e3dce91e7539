use std::{io, iter, mem, sync::Arc, time::Duration};

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep},
};
use uuid::Uuid;

use super::{Shipped, Source, backlog, ship};
use crate::{
    domain::{FencingToken, LeaseId, RunnerId, SessionId},
    runner::{
        Acquired, Appended, Completion, Directive, LeaseError, LeaseProof, Leases, LogAppend,
        Registered, Registration, Renewed, Report, WorkRequest,
        leases::{Cause, HeldLease},
        mask::Masker,
    },
    supervisor::Clock,
};

/// Lifetime of a lease.
const LIFE: Duration = Duration::from_secs(30);
const MAX_APPEND: usize = 256 * 1024;
/// Capacity of a pipe.
const PIPE: usize = 64 * 1024;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Mood {
    Answers,
    Fails,
    Hangs,
    LeaseLost,
}

/// A service with a single log.
struct Service {
    mood: watch::Sender<Mood>,
    log: Mutex<Log>,
    size: watch::Sender<usize>,
}

#[derive(Default)]
struct Log {
    /// None where bytes were dropped.
    bytes: Vec<Option<u8>>,
    appends: Vec<(u64, u64, usize)>,
}

impl Service {
    fn new(mood: Mood) -> Arc<Self> {
        Arc::new(Self {
            mood: watch::Sender::new(mood),
            log: Mutex::default(),
            size: watch::Sender::new(0),
        })
    }

    async fn until(&self, size: usize) {
        let mut sizes = self.size.subscribe();
        sizes.wait_for(|now| *now >= size).await.unwrap();
    }

    fn store(&self, append: &LogAppend) -> Result<u64, LeaseError> {
        let bytes = &mut self.log.lock().bytes;
        let committed = bytes.len() as u64;
        let LogAppend {
            offset,
            dropped,
            data,
        } = append;
        if offset - dropped > committed {
            return Err(LeaseError::Hole { committed });
        }
        let offset = usize::try_from(*offset).unwrap();
        bytes.resize(bytes.len().max(offset), None);
        bytes.truncate(offset);
        bytes.extend(data.iter().copied().map(Some));
        self.size.send_replace(bytes.len());
        Ok(bytes.len() as u64)
    }
}

#[async_trait]
impl Leases for Service {
    async fn register(&self, _: Registration) -> Result<Registered, LeaseError> {
        Err(LeaseError::Stopping)
    }

    async fn acquire(&self, _: WorkRequest) -> Result<Acquired, LeaseError> {
        Err(LeaseError::Stopping)
    }

    async fn deregister(&self, _: RunnerId, _: SessionId) -> Result<(), LeaseError> {
        Err(LeaseError::Stopping)
    }

    async fn renew(
        &self,
        _: LeaseProof,
        _: Report,
        _: Directive,
        _: Duration,
    ) -> Result<Renewed, LeaseError> {
        Err(LeaseError::Stopping)
    }

    async fn append_log(&self, _: LeaseProof, append: LogAppend) -> Result<Appended, LeaseError> {
        assert!(append.data.len() <= MAX_APPEND);
        let call = (append.offset, append.dropped, append.data.len());
        self.log.lock().appends.push(call);
        let mut mood = self.mood.subscribe();
        let mood = *mood.wait_for(|mood| *mood != Mood::Hangs).await.unwrap();
        match mood {
            Mood::LeaseLost => return Err(LeaseError::Lost),
            Mood::Fails => return Err(LeaseError::Failed("the disk is full".to_owned())),
            Mood::Answers | Mood::Hangs => {}
        }
        Ok(Appended {
            committed: self.store(&append)?,
            directive: Directive::Continue,
        })
    }

    async fn complete(&self, _: LeaseProof, _: Completion) -> Result<(), LeaseError> {
        Err(LeaseError::Stopping)
    }
}

impl Source for DuplexStream {
    async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        AsyncReadExt::read(self, buffer).await
    }
}

/// Starts shipping; returns the command's end of the pipe.
fn start(service: &Arc<Service>) -> (DuplexStream, JoinHandle<Shipped>) {
    let (command, shipping, _) = start_under(service, LIFE);
    (command, shipping)
}

/// The same under a lease with a given lifetime.
fn start_under(
    service: &Arc<Service>,
    life: Duration,
) -> (DuplexStream, JoinHandle<Shipped>, Arc<HeldLease>) {
    let (command, output) = duplex(PIPE);
    let proof = LeaseProof {
        lease_id: LeaseId(Uuid::nil()),
        token: FencingToken(1),
    };
    let terms = Registered {
        runner_id: RunnerId(Uuid::nil()),
        lease_ttl: life,
        max_log_chunk: MAX_APPEND,
    };
    let lease = HeldLease::new(
        Arc::clone(service) as Arc<dyn Leases>,
        proof,
        &terms,
        Clock::Wall,
    );
    let masker = Masker::new(iter::empty());
    let lease = Arc::new(lease);
    let held = Arc::clone(&lease);
    let shipping = tokio::spawn(async move { ship(&held, output, masker).await });
    (command, shipping, lease)
}

fn pattern(size: usize) -> Vec<u8> {
    (0..size).map(|offset| (offset % 251) as u8).collect()
}

fn complete(size: usize) -> Shipped {
    Shipped {
        size: size as u64,
        is_incomplete: false,
    }
}

#[tokio::test(start_paused = true)]
async fn it_sends_at_once_when_idle_and_in_batches_while_busy() {
    let service = Service::new(Mood::Answers);
    let (mut command, shipping) = start(&service);
    command.write_all(b"a").await.unwrap();
    service.until(1).await;
    service.mood.send_replace(Mood::Hangs);
    for _ in 0..1_000 {
        command.write_all(&[b'b'; 300]).await.unwrap();
    }
    service.mood.send_replace(Mood::Answers);
    drop(command);
    assert_eq!(shipping.await.unwrap(), complete(300_001));
    let sizes: Vec<_> = mem::take(&mut service.log.lock().appends)
        .into_iter()
        .map(|(_, _, size)| size)
        .collect();
    // One byte immediately, then the first of the following bytes, the rest together.
    assert_eq!(sizes[0], 1);
    assert!(sizes.len() <= 4, "{sizes:?}");
}

#[tokio::test(start_paused = true)]
async fn the_command_waits_for_a_service_that_is_slow() {
    let service = Service::new(Mood::Hangs);
    let (mut command, shipping) = start(&service);
    let whole = pattern(4 * 1024 * 1024);
    let written = whole.clone();
    let writing = tokio::spawn(async move { command.write_all(&written).await });
    // Each answer takes nearly as long as patience lasts.
    while !writing.is_finished() {
        sleep(Duration::from_secs(4)).await;
        let before = service.log.lock().bytes.len();
        service.mood.send_replace(Mood::Answers);
        service.until(before + 1).await;
        service.mood.send_replace(Mood::Hangs);
    }
    service.mood.send_replace(Mood::Answers);
    assert_eq!(shipping.await.unwrap(), complete(whole.len()));
    let bytes: Option<Vec<u8>> = service.log.lock().bytes.iter().copied().collect();
    assert!(bytes.is_some_and(|bytes| bytes == whole), "nothing is lost");
}

#[tokio::test(start_paused = true)]
async fn what_an_unreachable_service_cannot_take_is_dropped_and_counted() {
    for mood in [Mood::Hangs, Mood::Fails] {
        let service = Service::new(mood);
        let (mut command, shipping) = start(&service);
        let whole = pattern(8 * 1024 * 1024);
        let began = Instant::now();
        command.write_all(&whole).await.unwrap();
        // The command has waited, but not for longer than patience lasts.
        assert_eq!(began.elapsed().as_secs(), 5, "{mood:?}");
        sleep(Duration::from_secs(60)).await;
        service.mood.send_replace(Mood::Answers);
        drop(command);
        assert_eq!(shipping.await.unwrap(), complete(whole.len()));

        let log = service.log.lock();
        assert_eq!(log.bytes.len(), whole.len());
        let right = |(stored, byte): (&Option<u8>, &u8)| stored.is_none_or(|it| it == *byte);
        assert!(log.bytes.iter().zip(&whole).all(right));
        // The newest are kept, and the missing bytes are one range.
        let is_kept: Vec<bool> = log.bytes.iter().map(Option::is_some).collect();
        let edges = is_kept.windows(2).filter(|pair| pair[0] != pair[1]).count();
        assert!(is_kept[0] && edges == 2);
        assert!(is_kept[whole.len() - backlog::MOST..].iter().all(|it| *it));
        let dropped: u64 = log.appends.iter().map(|append| append.1).max().unwrap();
        let missing = is_kept.iter().filter(|it| !**it).count();
        assert_eq!(dropped, missing as u64);
    }
}

#[tokio::test(start_paused = true)]
async fn an_end_that_cannot_be_sent_is_given_up_after_half_of_the_leases_life() {
    for mood in [Mood::Hangs, Mood::Fails] {
        for life in [2, 30, 300] {
            let service = Service::new(mood);
            let (mut command, shipping, _) = start_under(&service, Duration::from_secs(life));
            command.write_all(b"lost").await.unwrap();
            sleep(Duration::from_secs(600)).await;
            let ended = Instant::now();
            drop(command);
            let given_up = Shipped {
                size: 4,
                is_incomplete: true,
            };
            assert_eq!(shipping.await.unwrap(), given_up);
            assert_eq!(ended.elapsed().as_secs(), life / 2, "{mood:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_stage_that_is_stopped_does_not_wait_for_its_log() {
    // When the command ends and when the stage is stopped, and how long its log takes then.
    for (ends, stops, takes) in [(0, 1, 2), (0, 5, 0), (0, 14, 0), (7, 2, 3), (30, 2, 3)] {
        for mood in [Mood::Hangs, Mood::Fails] {
            let service = Service::new(mood);
            let (mut command, shipping, lease) = start_under(&service, LIFE);
            command.write_all(b"lost").await.unwrap();
            let began = Instant::now();
            let end = async {
                sleep(Duration::from_secs(ends)).await;
                drop(command);
            };
            let stop = async {
                sleep(Duration::from_secs(stops)).await;
                lease.stop.ask(Cause::TimedOut);
            };
            tokio::join!(end, stop);
            assert!(shipping.await.unwrap().is_incomplete);
            let took = began.elapsed().as_secs();
            assert_eq!(took, ends.max(stops) + takes, "{ends} {stops} {mood:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_command_that_has_to_stop_may_write_at_once() {
    let service = Service::new(Mood::Hangs);
    let (mut command, shipping, lease) = start_under(&service, LIFE);
    let whole = pattern(8 * 1024 * 1024);
    let began = Instant::now();
    let writing = async {
        command.write_all(&whole).await.unwrap();
        drop(command);
        began.elapsed().as_secs()
    };
    let stop = async {
        sleep(Duration::from_secs(1)).await;
        lease.stop.ask(Cause::TimedOut);
    };
    let (written, ()) = tokio::join!(writing, stop);
    assert_eq!(written, 1);
    service.mood.send_replace(Mood::Answers);
    // The dropped bytes are counted, and the end has arrived.
    assert_eq!(shipping.await.unwrap(), complete(whole.len()));
}

#[tokio::test(start_paused = true)]
async fn a_lost_lease_ends_it_at_once() {
    let service = Service::new(Mood::LeaseLost);
    let (mut command, shipping) = start(&service);
    let began = Instant::now();
    command.write_all(b"x").await.unwrap();
    assert!(shipping.await.unwrap().is_incomplete);
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn what_the_service_has_lost_becomes_a_gap() {
    let service = Service::new(Mood::Answers);
    let (mut command, shipping) = start(&service);
    command.write_all(b"0123456789").await.unwrap();
    service.until(10).await;
    service.log.lock().bytes.truncate(4);
    command.write_all(b"ab").await.unwrap();
    drop(command);
    assert_eq!(shipping.await.unwrap(), complete(12));
    let log = service.log.lock();
    let shown: String = log
        .bytes
        .iter()
        .map(|byte| byte.map_or('_', char::from))
        .collect();
    assert_eq!(shown, "0123______ab");
}
