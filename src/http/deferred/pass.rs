//! Detects the end of a pass of the scheduler, in which many tasks of one connection may run.

use std::{
    sync::{Arc, atomic::Ordering},
    task::{Context, Wake, Waker},
};

use super::super::scheduler::{AtomicBool, AtomicWaker, defer};

/// Waits for the end of a pass, for one connection.
pub(super) struct Pass {
    state: State,
    end: Arc<End>,
    /// The waker of `end`. Created once, because a connection waits for very many passes.
    waker: Waker,
}

enum State {
    /// No data is buffered.
    Idle,
    /// The scheduler has the waker, and wakes it once.
    Running,
    /// The buffered data is due, until `done` is called.
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

    /// Begins to wait for the end of the current pass, unless it already waits.
    pub(super) fn wait(&mut self) {
        if let State::Idle = self.state {
            self.end.ended.store(false, Ordering::Relaxed);
            self.state = State::Running;
            // Last: outside a scheduler this wakes the waker immediately.
            defer(&self.waker);
        }
    }

    /// Whether the buffered data is due. If not, the task of `context` is woken when it is.
    pub(super) fn has_ended(&mut self, context: &Context<'_>) -> bool {
        if let State::Running = self.state {
            // Register before the load: `End::wake` sets the flag before it wakes. So either
            // it wakes the task that is registered here, or the load below sees the flag.
            self.end.task.register(context.waker());
            if self.end.ended.load(Ordering::Acquire) {
                self.state = State::Ended;
            }
        }
        matches!(self.state, State::Ended)
    }

    /// All due data was sent.
    pub(super) fn done(&mut self) {
        if let State::Ended = self.state {
            self.state = State::Idle;
        }
    }
}

/// The target of the waker that the scheduler holds. The connection's own waker is not
/// enough: it is also woken for other reasons, so a wake-up would not mean that the pass has
/// ended.
#[derive(Default)]
struct End {
    ended: AtomicBool,
    task: AtomicWaker,
}

impl Wake for End {
    fn wake(self: Arc<Self>) {
        self.ended.store(true, Ordering::Release);
        self.task.wake();
    }
}
