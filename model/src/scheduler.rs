//! The parts of `src/http/scheduler.rs`, with loom's types: each pass ends on a
//! thread of its own, which may run at any moment.

use std::task::Waker;

pub(super) use loom::sync::atomic::AtomicBool;
use loom::{future, thread};

#[derive(Default)]
pub(super) struct AtomicWaker(future::AtomicWaker);

impl AtomicWaker {
    pub(super) fn register(&self, waker: &Waker) {
        self.0.register_by_ref(waker);
    }

    pub(super) fn wake(&self) {
        self.0.wake();
    }
}

pub(super) fn defer(waker: &Waker) {
    let waker = waker.clone();
    thread::spawn(move || waker.wake());
}
