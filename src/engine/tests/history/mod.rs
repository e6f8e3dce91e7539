//! Histories of the engine, valid ones and broken ones.

mod broken;
#[path = "../../../../tests/support/history.rs"]
mod checker;
pub(super) mod recorded;

use std::time::Duration;

use checker::Checker;

pub(super) use checker::Seen;

/// Checks I2, I3, I4 and I5.
pub(super) fn check_history(seen: &[Seen], ttl: Duration) -> Result<(), String> {
    let mut checker = Checker::new(ttl);
    seen.iter().try_for_each(|one| checker.check(one))
}
