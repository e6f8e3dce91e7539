//! Calls that are answered where they are read.

use std::{
    future::Future,
    panic::AssertUnwindSafe,
    task::{Context, Poll, Waker},
};

use futures_util::FutureExt;
use hyper::rt::Executor;
use tokio::task::coop;

/// Runs what hyper has to do for a request. Most calls never wait: such a one is done
/// here, in the connection's task, and costs no task of its own. One that waits becomes
/// a task.
///
/// As much is done here at a time as the scheduler lets a task do before others have their
/// turn; from then on each call is a task from its beginning, and other workers help.
#[derive(Clone, Copy, Debug)]
pub(super) struct Inline;

impl<F> Executor<F> for Inline
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, request: F) {
        // A task's panic is its own, and ends no other call of the connection.
        let mut request = Box::pin(AssertUnwindSafe(request).catch_unwind());
        // Nobody is woken by this look: if it is not the last one, the task looks again
        // when it begins.
        let mut context = Context::from_waker(Waker::noop());
        let Poll::Ready(turn) = coop::poll_proceed(&mut context) else {
            tokio::spawn(request);
            return;
        };
        turn.made_progress();
        if request.as_mut().poll(&mut context).is_pending() {
            tokio::spawn(request);
        }
    }
}
