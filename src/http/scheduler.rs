//! When the scheduler's passes end, and what tells of it. `model/` has its own of these.

use std::{
    future::Future,
    pin::pin,
    task::{Context, Waker},
};

pub(super) use futures_util::task::AtomicWaker;
pub(super) use std::sync::atomic::AtomicBool;

/// Has `waker` woken when the worker that runs this has no task left to run, or has run so
/// many that it looks at its sockets again.
pub(super) fn defer(waker: &Waker) {
    // The first poll is what hands the waker to the scheduler; to drop the rest takes
    // nothing back.
    let _ = pin!(tokio::task::yield_now()).poll(&mut Context::from_waker(waker));
}
