//! Notification of the end of a scheduler pass. `model/` replaces this module with its own.

use std::{
    future::Future,
    pin::pin,
    task::{Context, Waker},
};

pub(super) use futures_util::task::AtomicWaker;
pub(super) use std::sync::atomic::AtomicBool;

/// Has `waker` woken when the current worker has no task left to run, or has run so many
/// that it polls its sockets again.
pub(super) fn defer(waker: &Waker) {
    // The first poll registers the waker with the scheduler. Dropping the future does not
    // deregister it.
    let _ = pin!(tokio::task::yield_now()).poll(&mut Context::from_waker(waker));
}
