//! When the scheduler's pass ends, in which many tasks of one connection may run.

use std::{
    sync::{Arc, atomic::Ordering},
    task::{Context, Wake, Waker},
};

use super::super::scheduler::{AtomicBool, AtomicWaker, defer};

/// A connection's waiting for the end of a pass.
pub(super) struct Pass {
    state: State,
    end: Arc<End>,
    /// Of `end`. Made once, because a connection waits for very many passes.
    waker: Waker,
}

enum State {
    /// Nothing waits.
    Idle,
    /// The scheduler has the waker, and wakes it once.
    Running,
    /// What waited is due, until `done`.
    Ended,
}

impl Pass {
    pub(super) fn new() -> Self {
        let end = Arc::new(End::default());
        Self {
            state: State::Idle,
            waker: Arc::clone(&end).into(),
            end,
        }
    }

    /// Waits for the end of the pass that is running now, unless it does so already.
    pub(super) fn wait(&mut self) {
        if let State::Idle = self.state {
            self.end.has_come.store(false, Ordering::Relaxed);
            self.state = State::Running;
            // Last: outside of a scheduler this wakes at once.
            defer(&self.waker);
        }
    }

    /// Whether what waits is due. If it is not yet, the task of `context` is woken when it is.
    pub(super) fn has_ended(&mut self, context: &Context<'_>) -> bool {
        if let State::Running = self.state {
            // Before the flag is read: the end sets it before it wakes, so it either wakes
            // the task that is registered here, or is seen below.
            self.end.task.register(context.waker());
            if self.end.has_come.load(Ordering::Acquire) {
                self.state = State::Ended;
            }
        }
        matches!(self.state, State::Ended)
    }

    /// All that was due is done.
    pub(super) fn done(&mut self) {
        if let State::Ended = self.state {
            self.state = State::Idle;
        }
    }
}

/// What the scheduler wakes. A connection's own waker would not do: it wakes for other
/// reasons, too, and then does not tell whether the pass has ended.
#[derive(Default)]
struct End {
    has_come: AtomicBool,
    task: AtomicWaker,
}

impl Wake for End {
    fn wake(self: Arc<Self>) {
        self.has_come.store(true, Ordering::Release);
        self.task.wake();
    }
}
