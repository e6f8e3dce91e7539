use std::sync::Arc;

use crate::store::{Lifetime, Mark, Store};

use super::Error;

/// Tells when what calls have seen is durable.
#[derive(Clone)]
pub struct Durability(Option<Arc<dyn Store>>);

/// The state of the store when a call began.
#[derive(Clone, Copy)]
pub struct Seen(Mark);

impl Durability {
    pub(super) fn of(store: &Arc<dyn Store>) -> Self {
        let is_durable = store.instance().lifetime == Lifetime::Durable;
        Self(is_durable.then(|| Arc::clone(store)))
    }

    /// To be called before a call reads anything.
    pub fn mark(&self) -> Seen {
        Seen(
            self.0
                .as_ref()
                .map(|store| store.mark())
                .unwrap_or_default(),
        )
    }

    /// Resolves once everything is durable that the call may have seen. No response may leave
    /// the process before that, whether it reports success or a refusal.
    ///
    /// # Errors
    /// If something that the call may have seen could not be made durable, and is undone.
    pub async fn settled(&self, seen: Seen) -> Result<(), Error> {
        match &self.0 {
            Some(store) => Ok(store.settled(seen.0).await?),
            None => Ok(()),
        }
    }
}
