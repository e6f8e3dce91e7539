//! Messages that leave the process because of a commit: written in the same commit,
//! sent by a task.
//!
//! A message is sent at least once, and its key is the idempotency key for its
//! receiver. It is retried with a backoff. Messages with the same order key are
//! sent one after the other. A message that cannot be sent becomes a dead letter,
//! which is kept for an operator and does not block those behind it.

mod backoff;
#[cfg(test)]
mod tests;

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::join_all;
use metrics::counter;
use tokio::{sync::Notify, time::timeout};
use uuid::Uuid;

use crate::{
    engine::{
        environment::Environment,
        tasks::{Ran, Task},
    },
    store::{
        Batch, Change, ClaimedWork, CommitError, DeadLetter, DueWork, DueWrite, Records, Store,
        StoreError, WorkKey, Write, collections,
    },
    telemetry::metrics::OUTBOX_MESSAGES,
};

use super::{Journal, Subscriber};
use backoff::pause;

pub(in crate::engine) const TASK: Task = Task {
    name: "outbox",
    description: "sends the messages that commits wrote",
    period: Duration::from_secs(30),
};

/// Attempts before a message becomes a dead letter: about a day with the backoff.
const MAX_ATTEMPTS: u32 = 24;
const SEND_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a claim lasts: longer than an attempt, so that nothing is sent twice
/// concurrently.
const CLAIMED_FOR: Duration = Duration::from_secs(60);
/// Messages of one kind that are sent concurrently.
const MAX_CONCURRENT_SENDS: usize = 16;
/// How long a dead letter is kept: 30 days.
const DEAD_LETTERS_KEPT: Duration = Duration::from_secs(30 * 24 * 60 * 60);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::engine) struct Message {
    /// Unique within its kind: the idempotency key for the receiver.
    pub(in crate::engine) key: String,
    /// Starts at 1.
    pub(in crate::engine) attempt: u32,
    pub(in crate::engine) body: Bytes,
}

/// Sends messages of one kind.
#[async_trait]
pub(in crate::engine) trait Sender: Send + Sync + 'static {
    /// The kind, such as `logs.remove`.
    fn kind(&self) -> &'static str;

    /// Sends a message. It may have been sent before.
    async fn send(&self, message: &Message) -> Result<(), SendError>;
}

#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub(in crate::engine) struct SendError {
    message: String,
    is_permanent: bool,
}

impl SendError {
    /// It may be sent later.
    pub(in crate::engine) fn transient(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            is_permanent: false,
        }
    }

    /// It can never be sent.
    pub(in crate::engine) fn permanent(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            is_permanent: true,
        }
    }
}

/// The write that puts a message into the outbox.
pub(in crate::engine) fn message(
    kind: &'static str,
    key: String,
    order_key: Option<String>,
    body: Bytes,
    environment: &Environment,
) -> Write {
    Write::Due(DueWrite::Add(DueWork {
        key: WorkKey { kind, key },
        at: environment.steady_now(),
        order_key,
        attempts: 0,
        body,
    }))
}

/// Notifies the task when there is something to send.
#[derive(Default)]
pub(in crate::engine) struct Posted(pub(in crate::engine) Arc<Notify>);

impl Subscriber for Posted {
    fn changed(&self, change: &Change) {
        if matches!(change, Change::Due(_)) {
            self.0.notify_one();
        }
    }
}

/// Sends the messages in the outbox.
pub(in crate::engine) struct Outbox {
    journal: Arc<Journal>,
    senders: Vec<Arc<dyn Sender>>,
    /// Identifies this process as the owner of claims.
    owner: Uuid,
}

impl Outbox {
    pub(in crate::engine) fn new(journal: Arc<Journal>, senders: Vec<Arc<dyn Sender>>) -> Self {
        Self {
            journal,
            senders,
            owner: Uuid::new_v4(),
        }
    }

    pub(in crate::engine) async fn run(self: Arc<Self>) -> Result<Ran, String> {
        let describe = |error: StoreError| error.to_string();
        let environment = self.journal.environment();
        let mut items = 0;
        let mut next: Option<SystemTime> = None;
        for sender in &self.senders {
            items += self.send_due(sender.as_ref()).await.map_err(describe)?;
            let due = self
                .store()
                .next_due(sender.kind())
                .await
                .map_err(describe)?;
            next = next.into_iter().chain(due).min();
        }
        Ok(Ran {
            items,
            next: next.map(|next| environment.instant_of(next)),
        })
    }

    async fn send_due(&self, sender: &dyn Sender) -> Result<u64, StoreError> {
        let now = self.journal.environment().steady_now();
        let until = now + CLAIMED_FOR;
        let store = self.store();
        let claimed = store.claim_due(sender.kind(), self.owner, now, until, MAX_CONCURRENT_SENDS);
        let claimed = claimed.await?;
        let number = claimed.len() as u64;
        let sent = claimed.into_iter().map(|work| self.deliver(sender, work));
        for result in join_all(sent).await {
            result?;
        }
        Ok(number)
    }

    async fn deliver(&self, sender: &dyn Sender, claimed: ClaimedWork) -> Result<(), StoreError> {
        let ClaimedWork { work, token } = claimed;
        let message = Message {
            key: work.key.key.clone(),
            attempt: work.attempts,
            body: work.body.clone(),
        };
        let sent = timeout(SEND_TIMEOUT, sender.send(&message)).await;
        let sent = sent.unwrap_or_else(|_| {
            let seconds = SEND_TIMEOUT.as_secs();
            Err(SendError::transient(format!(
                "took longer than {seconds} s"
            )))
        });
        let kind = sender.kind();
        let (result, writes) = match sent {
            Ok(()) => ("sent", vec![DueWrite::Done(work.key, token).into()]),
            Err(error) if error.is_permanent || work.attempts >= MAX_ATTEMPTS => {
                tracing::error!(%error, kind, key = message.key, attempts = work.attempts,
                    "a message is given up");
                ("dead", self.give_up(work, token, &error))
            }
            Err(error) => {
                tracing::warn!(%error, kind, key = message.key, attempts = work.attempts,
                    "a message was not sent yet");
                let at = self.journal.environment().steady_now() + pause(work.attempts);
                ("failed", vec![DueWrite::Again(work.key, token, at).into()])
            }
        };
        counter!(OUTBOX_MESSAGES, "kind" => kind, "result" => result).increment(1);
        match self.journal.commit(Batch::of(writes)).await {
            // Claimed by another worker since, which now handles it.
            Ok(()) | Err(CommitError::Conflict) => Ok(()),
            Err(CommitError::Store(error) | CommitError::Unknown(error)) => Err(error),
            Err(error) => Err(StoreError::transient(error.to_string())),
        }
    }

    fn give_up(&self, work: DueWork, token: u64, error: &SendError) -> Vec<Write> {
        let now = self.journal.environment().now();
        let letter = DeadLetter {
            kind: work.key.kind.to_owned(),
            key: work.key.key.clone(),
            token,
            order_key: work.order_key,
            attempts: work.attempts,
            body: work.body,
            error: error.message.clone(),
            time: now,
            expires: now + DEAD_LETTERS_KEPT,
        };
        let put = Records::<collections::DeadLetters>::put(&letter, 0);
        vec![DueWrite::Done(work.key, token).into(), put]
    }

    fn store(&self) -> &Arc<dyn Store> {
        self.journal.store()
    }
}
