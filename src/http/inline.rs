//! Runs calls inside the task of their connection.

use std::{
    future::Future,
    panic::AssertUnwindSafe,
    task::{Context, Poll, Waker},
};

use futures_util::FutureExt;
use hyper::rt::Executor;
use tokio::task::coop;

/// Executes hyper's future for a request. Most calls never wait: such a call completes in
/// the connection's task, without the cost of a task of its own. A call that waits is
/// spawned as a task.
///
/// Calls run inline until the connection's task has used up its cooperative budget. From
/// then on each call is spawned from the start, so that other workers can run it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Inline;

impl<F> Executor<F> for Inline
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, request: F) {
        // A panic must not end the other calls of the connection, as if this were a task.
        let mut request = Box::pin(AssertUnwindSafe(request).catch_unwind());
        // This poll needs no waker: if the future is pending, the new task polls it again
        // when it starts.
        let mut context = Context::from_waker(Waker::noop());
        let Poll::Ready(budget) = coop::poll_proceed(&mut context) else {
            tokio::spawn(request);
            return;
        };
        budget.made_progress();
        if request.as_mut().poll(&mut context).is_pending() {
            tokio::spawn(request);
        }
    }
}
