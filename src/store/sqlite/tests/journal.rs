//! What the journal promises while its writer is slow, or fails.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc,
    },
    time::{Duration, SystemTime},
};

use futures_util::FutureExt;
use tempfile::TempDir;
use tokio::task::JoinHandle;

use crate::{
    domain::{Job, JobState},
    store::{
        CommitError, CommitSubscriber, Committed, DurableStore, PipelineStore, RowChange, Store,
        StoreError, StoreErrorKind,
        conformance::world::{
            add_job, at, cancel, decided, job, job_batch, job_id, new_job, pipeline, stored,
        },
        durable::{Sink, SinkError},
    },
};

use super::super::{
    Directory,
    archive::{Counts, Readers},
    migrate,
    seals::Seals,
    sink::SqliteSink,
};

/// What becomes of a group.
enum Fate {
    Written,
    Full,
    Fatal,
    Panic,
}

/// A sink that asks before each group, from a certain moment.
struct Asking {
    inner: SqliteSink,
    fates: mpsc::Receiver<Option<Fate>>,
    is_asking: bool,
    groups: Arc<AtomicUsize>,
    /// Rounds of maintenance.
    rounds: Arc<AtomicUsize>,
    fails_maintenance: Arc<AtomicBool>,
}

impl Sink for Asking {
    fn write(&mut self, changes: &[RowChange]) -> Result<(), SinkError> {
        self.groups.fetch_add(1, Ordering::SeqCst);
        // Once it asks, what comes is the fate of a group.
        if !self.is_asking
            && let Ok(None) = self.fates.try_recv()
        {
            self.is_asking = true;
        }
        let fate = if self.is_asking {
            self.fates.recv().ok().flatten().unwrap_or(Fate::Written)
        } else {
            Fate::Written
        };
        match fate {
            Fate::Written => self.inner.write(changes),
            Fate::Full => Err(SinkError::Full("no space".to_owned())),
            Fate::Fatal => Err(SinkError::Fatal("the cable is out".into())),
            Fate::Panic => panic!("planted"),
        }
    }

    fn maintain(&mut self) -> Result<bool, SinkError> {
        self.rounds.fetch_add(1, Ordering::SeqCst);
        if self.fails_maintenance.load(Ordering::SeqCst) {
            return Err(SinkError::Fatal("the cable is out".into()));
        }
        self.inner.maintain()
    }
}

#[derive(Default)]
struct Count(AtomicUsize);

impl CommitSubscriber for Count {
    fn committed(&self, _: &Committed) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// A store with a queued job 1, whose writer asks what becomes of each group from now on.
struct World {
    store: Arc<DurableStore>,
    fates: mpsc::Sender<Option<Fate>>,
    groups: Arc<AtomicUsize>,
    rounds: Arc<AtomicUsize>,
    fails_maintenance: Arc<AtomicBool>,
    notified: Arc<Count>,
    _directory: TempDir,
}

impl World {
    async fn new() -> Self {
        Self::with_maintenance(Duration::from_secs(60 * 60)).await
    }

    async fn with_maintenance(pause: Duration) -> Self {
        let temporary = TempDir::new().unwrap();
        let directory = Directory(temporary.path().to_owned());
        let lock = directory.lock().unwrap();
        let mut connection = directory.connect().unwrap();
        migrate::migrate(&mut connection, SystemTime::UNIX_EPOCH).unwrap();
        let seals = Seals(Some(super::keyring()));
        let counts = Arc::new(Counts::default());
        let (fates, asked) = mpsc::channel();
        let groups = Arc::new(AtomicUsize::new(0));
        let (rounds, fails_maintenance) = <(Arc<AtomicUsize>, Arc<AtomicBool>)>::default();
        let sink = Asking {
            inner: SqliteSink::new(
                connection,
                directory.clone(),
                seals.clone(),
                Arc::clone(&counts),
                lock,
            ),
            fates: asked,
            is_asking: false,
            groups: Arc::clone(&groups),
            rounds: Arc::clone(&rounds),
            fails_maintenance: Arc::clone(&fails_maintenance),
        };
        let readers = Readers::open(directory, SystemTime::UNIX_EPOCH, seals, counts).unwrap();
        let store = DurableStore::open_with(Arc::new(readers), sink, pause);
        let store = Arc::new(store.unwrap());
        let world = Self {
            store,
            fates,
            groups,
            rounds,
            fails_maintenance,
            notified: Arc::default(),
            _directory: temporary,
        };
        let pipeline = stored(&world.any(), &pipeline(1, "p")).await;
        add_job(&world.any(), new_job(&pipeline, 1, 0, at(1))).await;
        let subscriber = Arc::clone(&world.notified);
        world.store.subscribe(subscriber);
        world.groups.store(0, Ordering::SeqCst);
        world.fates.send(None).unwrap();
        world
    }

    fn any(&self) -> Arc<dyn Store> {
        Arc::clone(&self.store) as _
    }

    async fn job(&self) -> Arc<Job> {
        job(&self.any(), job_id(1)).await
    }

    /// Cancels the job, in a task of its own. Returns once the live store has it.
    async fn cancel(&self) -> JoinHandle<Result<(), CommitError>> {
        let store = self.any();
        let write = decided(&*self.job().await, cancel(), at(2));
        let committing = tokio::spawn(async move { store.commit(job_batch(write)).await });
        while self.job().await.state == JobState::Queued {
            tokio::task::yield_now().await;
        }
        committing
    }

    fn decide(&self, fate: Fate) {
        self.fates.send(Some(fate)).unwrap();
    }

    fn notifications(&self) -> usize {
        self.notified.0.load(Ordering::SeqCst)
    }
}

fn is_full(error: &StoreError) -> bool {
    error.kind == StoreErrorKind::Full
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_acknowledged_or_notified_before_it_is_durable() {
    let world = World::new().await;
    let mark = world.store.mark();
    let committing = world.cancel().await;
    let settled = world.store.settled(mark);
    let mut settled = std::pin::pin!(settled);
    assert!(settled.as_mut().now_or_never().is_none());
    assert!(!committing.is_finished());
    assert_eq!(world.notifications(), 0);

    world.decide(Fate::Written);
    committing.await.unwrap().unwrap();
    settled.await.unwrap();
    assert_eq!(world.notifications(), 1);
    assert_eq!(world.job().await.state, JobState::Cancelled);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_and_undoes_what_was_not_written() {
    let world = World::new().await;
    let mark = world.store.mark();
    let committing = world.cancel().await;
    world.decide(Fate::Full);
    let refused = committing.await.unwrap();
    assert!(
        matches!(&refused, Err(CommitError::Store(error)) if is_full(error)),
        "{refused:?}"
    );
    // Who has read the cancelled job learns that this was not so.
    assert!(is_full(&world.store.settled(mark).await.unwrap_err()));
    assert_eq!(world.job().await.state, JobState::Queued);
    assert_eq!(world.notifications(), 0);

    // Something new is refused without an attempt, and what ends is attempted.
    let another = stored_or_refused(&world).await;
    assert!(
        matches!(&another, Err(CommitError::Store(error)) if is_full(error)),
        "{another:?}"
    );
    let mark = world.store.mark();
    let committing = world.cancel().await;
    world.decide(Fate::Written);
    committing.await.unwrap().unwrap();
    world.store.settled(mark).await.unwrap();
    assert_eq!(world.job().await.state, JobState::Cancelled);
}

async fn stored_or_refused(world: &World) -> Result<(), CommitError> {
    use crate::store::{Batch, PipelineWrite, Write};
    let create = PipelineWrite::Create(pipeline(2, "q"));
    world
        .store
        .commit(Batch::of([Write::Pipeline(create)]))
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_fails_fails_the_store_for_good() {
    let world = World::new().await;
    let mark = world.store.mark();
    let committing = world.cancel().await;
    world.decide(Fate::Fatal);
    let refused = committing.await.unwrap();
    assert!(
        matches!(&refused, Err(CommitError::Store(_))),
        "{refused:?}"
    );
    world.store.failed().await;
    assert!(world.store.settled(mark).await.is_err());
    let refused = world
        .any()
        .commit(job_batch(decided(&*world.job().await, cancel(), at(3))))
        .await;
    assert!(matches!(
        &refused,
        Err(CommitError::Store(_) | CommitError::Conflict)
    ));
    assert_eq!(world.notifications(), 0);
    assert_eq!(world.groups.load(Ordering::SeqCst), 1, "it was tried again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operations_that_wait_are_written_together() {
    let world = World::new().await;
    let first = world.cancel().await;
    // The writer has the first group; all others wait behind it.
    let others: Vec<_> = (2..=50)
        .map(|number| {
            let store = world.any();
            let created = pipeline(number, &format!("p{number}"));
            tokio::spawn(async move { stored(&store, &created).await })
        })
        .collect();
    let filter = Default::default();
    while world
        .store
        .list_pipelines(&filter, None, 100)
        .await
        .unwrap()
        .len()
        < 50
    {
        tokio::task::yield_now().await;
    }
    for _ in 0..3 {
        world.decide(Fate::Written);
    }
    first.await.unwrap().unwrap();
    for other in others {
        other.await.unwrap();
    }
    let groups = world.groups.load(Ordering::SeqCst);
    assert!(groups <= 3, "{groups} groups");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_submitted_is_written_before_a_close() {
    let world = World::new().await;
    let committing = world.cancel().await;
    world.decide(Fate::Written);
    let store = Arc::clone(&world.store);
    tokio::task::spawn_blocking(move || store.close())
        .await
        .unwrap();
    committing.await.unwrap().unwrap();
    let refused = stored_or_refused(&world).await;
    assert!(matches!(refused, Err(CommitError::Store(_))), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_of_the_writer_fails_the_store_and_leaves_no_one_waiting() {
    let world = World::new().await;
    let mark = world.store.mark();
    let committing = world.cancel().await;
    world.decide(Fate::Panic);
    let refused = committing.await.unwrap();
    assert!(
        matches!(&refused, Err(CommitError::Store(_))),
        "{refused:?}"
    );
    world.store.failed().await;
    assert!(world.store.settled(mark).await.is_err());
    let refused = stored_or_refused(&world).await;
    assert!(matches!(refused, Err(CommitError::Store(_))), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_store_is_maintained_between_two_groups() {
    let world = World::with_maintenance(Duration::ZERO).await;
    let before = world.rounds.load(Ordering::SeqCst);
    let committing = world.cancel().await;
    world.decide(Fate::Written);
    committing.await.unwrap().unwrap();
    world.decide(Fate::Written);
    stored_or_refused(&world).await.unwrap();
    assert!(world.rounds.load(Ordering::SeqCst) > before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn maintenance_that_cannot_be_written_fails_the_store() {
    let world = World::with_maintenance(Duration::ZERO).await;
    world.fails_maintenance.store(true, Ordering::SeqCst);
    let committing = world.cancel().await;
    world.decide(Fate::Written);
    // Written before the round of maintenance, or refused after it.
    let _ = committing.await.unwrap();
    world.store.failed().await;
    let refused = stored_or_refused(&world).await;
    assert!(matches!(refused, Err(CommitError::Store(_))), "{refused:?}");
}
