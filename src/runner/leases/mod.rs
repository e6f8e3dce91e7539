//! The runner's side of a lease: the calls to the service that assigns work, and their
//! deadlines.

mod completion;
mod deadline;
mod held_lease;
mod remote;
mod retry;
mod stop;

pub(super) use completion::{Ended, Ending, Failure, completion};
pub(super) use deadline::Deadline;
pub(super) use held_lease::HeldLease;
pub(super) use retry::delay;
pub(super) use stop::{Cause, Stop};

pub use remote::{CredentialsAdvice, RemoteLeases};
