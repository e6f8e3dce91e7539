use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicUsize, Ordering},
};

use parking_lot::Mutex;
use tokio::time::sleep;

use crate::{
    engine::{SystemClock, UuidV7, journal::Subscribers, tasks::Tasks},
    store::{MemoryStore, RecordQuery},
};

use super::*;

const KIND: &str = "test.sent";

/// An external receiver: refuses as often as the test says.
#[derive(Default)]
struct Receiver {
    /// How often each key is refused before it is accepted.
    refusals: Mutex<BTreeMap<String, u32>>,
    taken: Mutex<Vec<(String, u32)>>,
    at_once: AtomicUsize,
    most_at_once: AtomicUsize,
}

#[async_trait]
impl Sender for Receiver {
    fn kind(&self) -> &'static str {
        KIND
    }

    async fn send(&self, message: &Message) -> Result<(), SendError> {
        let now = self.at_once.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_at_once.fetch_max(now, Ordering::SeqCst);
        tokio::task::yield_now().await;
        self.at_once.fetch_sub(1, Ordering::SeqCst);
        match message.body.as_ref() {
            b"never" => return Err(SendError::permanent("unknown receiver")),
            b"hangs" => sleep(Duration::from_secs(3600)).await,
            _ => {}
        }
        let mut refusals = self.refusals.lock();
        let left = refusals.entry(message.key.clone()).or_default();
        if *left > 0 {
            *left -= 1;
            return Err(SendError::transient("busy"));
        }
        drop(refusals);
        let taken = (message.key.clone(), message.attempt);
        self.taken.lock().push(taken);
        Ok(())
    }
}

struct World {
    journal: Arc<Journal>,
    receiver: Arc<Receiver>,
    _outbox: Arc<Outbox>,
}

impl World {
    fn new() -> Self {
        let environment = Environment::new(Arc::new(SystemClock), Arc::new(UuidV7::default()));
        let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
        let tasks = Tasks::new(environment.clock());
        let journal = Arc::new(Journal::new(Arc::clone(&store), environment));
        let receiver = Arc::new(Receiver::default());
        let outbox = Outbox::new(Arc::clone(&journal), vec![Arc::clone(&receiver) as _]);
        let outbox = Arc::new(outbox);
        let posted = Arc::new(Posted::default());
        let wake = Arc::clone(&posted.0);
        let subscribers = Arc::new(Subscribers::default());
        subscribers.set(vec![posted]);
        store.subscribe(subscribers);
        tasks.spawn(TASK, wake, Arc::downgrade(&outbox), Outbox::run);
        Self {
            journal,
            receiver,
            _outbox: outbox,
        }
    }

    async fn post(&self, key: &str, order_key: Option<&str>, body: &'static str) {
        let write = message(
            KIND,
            key.to_owned(),
            order_key.map(str::to_owned),
            Bytes::from_static(body.as_bytes()),
            self.journal.environment(),
        );
        self.journal.commit(Batch::of([write])).await.unwrap();
    }

    fn refuse(&self, key: &str, times: u32) {
        self.receiver.refusals.lock().insert(key.to_owned(), times);
    }

    /// Advances time until nothing is left to send.
    async fn settled(&self) -> Vec<(String, u32)> {
        while self.journal.store().count_due(KIND).await.unwrap() > 0 {
            sleep(Duration::from_secs(1)).await;
        }
        self.receiver.taken.lock().clone()
    }

    async fn letters(&self) -> Vec<DeadLetter> {
        let letters = Records::<collections::DeadLetters>::new(Arc::clone(self.journal.store()));
        let query = RecordQuery {
            index: Some("kind"),
            equals: Some(KIND.to_owned()),
            limit: 100,
            ..RecordQuery::default()
        };
        let found = letters.list(query).await.unwrap();
        found.into_iter().map(|letter| letter.value).collect()
    }
}

fn taken(sent: &[(&str, u32)]) -> Vec<(String, u32)> {
    sent.iter()
        .map(|(key, attempt)| ((*key).to_owned(), *attempt))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_message_is_sent_once_however_often_it_is_posted() {
    let world = World::new();
    world.post("a", None, "").await;
    assert_eq!(world.settled().await, taken(&[("a", 1)]));
    world.post("b", None, "").await;
    world.post("b", None, "").await;
    assert_eq!(world.settled().await, taken(&[("a", 1), ("b", 1)]));
}

#[tokio::test(start_paused = true)]
async fn a_refused_message_is_retried_with_a_backoff() {
    let world = World::new();
    world.refuse("a", 5);
    let start = tokio::time::Instant::now();
    world.post("a", None, "").await;
    assert_eq!(world.settled().await, taken(&[("a", 6)]));
    // 1 + 2 + 4 + 8 + 16 s, less up to half of it.
    let took = start.elapsed().as_secs();
    assert!((15..=37).contains(&took), "{took} s");
}

#[tokio::test(start_paused = true)]
async fn messages_with_an_order_key_are_sent_one_after_the_other() {
    let world = World::new();
    world.refuse("1", 3);
    for key in ["1", "2", "3"] {
        world.post(key, Some("one receiver"), "").await;
    }
    world.post("other", Some("another"), "").await;
    let sent = world.settled().await;
    let in_order: Vec<_> = sent.iter().filter(|(key, _)| key != "other").collect();
    let keys: Vec<&str> = in_order.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(keys, ["1", "2", "3"]);
    assert_eq!(sent[0].0, "other", "another receiver does not wait");
}

#[tokio::test(start_paused = true)]
async fn a_message_that_cannot_be_sent_becomes_a_dead_letter_and_blocks_nothing() {
    let world = World::new();
    world.post("1", Some("receiver"), "never").await;
    world.post("2", Some("receiver"), "").await;
    assert_eq!(world.settled().await, taken(&[("2", 1)]));
    let letters = world.letters().await;
    assert_eq!(letters.len(), 1);
    let DeadLetter {
        key,
        attempts,
        error,
        order_key,
        body,
        ..
    } = &letters[0];
    assert_eq!((key.as_str(), *attempts), ("1", 1));
    assert_eq!(error, "unknown receiver");
    assert_eq!(order_key.as_deref(), Some("receiver"));
    assert_eq!(body.as_ref(), b"never");
}

#[tokio::test(start_paused = true)]
async fn a_message_is_given_up_after_its_last_attempt() {
    let world = World::new();
    world.refuse("a", u32::MAX);
    world.post("a", None, "").await;
    assert!(world.settled().await.is_empty());
    assert_eq!(world.letters().await[0].attempts, MAX_ATTEMPTS);
}

#[tokio::test(start_paused = true)]
async fn a_hanging_receiver_counts_as_a_refusal() {
    let world = World::new();
    world.post("a", None, "hangs").await;
    world.post("b", None, "").await;
    let start = tokio::time::Instant::now();
    while world.journal.store().count_due(KIND).await.unwrap() > 1 {
        sleep(Duration::from_secs(1)).await;
    }
    assert!(start.elapsed() <= SEND_TIMEOUT + Duration::from_secs(2));
    assert_eq!(*world.receiver.taken.lock(), taken(&[("b", 1)]));
}

#[tokio::test(start_paused = true)]
async fn the_number_of_concurrent_sends_is_bounded() {
    let world = World::new();
    for number in 0..100 {
        world.post(&format!("{number:03}"), None, "").await;
    }
    assert_eq!(world.settled().await.len(), 100);
    assert!(world.receiver.most_at_once.load(Ordering::SeqCst) <= MAX_CONCURRENT_SENDS);
}
