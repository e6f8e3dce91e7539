use std::{
    any::Any,
    sync::{Arc, Weak},
};

use tokio::{
    sync::Notify,
    task::JoinError,
    time::{self, Instant},
};

use super::{Ran, record::Record};

/// Runs the task until its owner is gone.
pub(super) async fn drive<Owner, Run, Fut>(
    record: Arc<Record>,
    wake: Arc<Notify>,
    owner: Weak<Owner>,
    run: Run,
) where
    Owner: Send + Sync + 'static,
    Run: Fn(Arc<Owner>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Ran, String>> + Send + 'static,
{
    let run = Arc::new(run);
    loop {
        // Registered before the run checks for work. If it were registered after the run,
        // a wake-up could be lost: the run finds nothing, work arrives, `notify_waiters`
        // finds no waiter, and the driver then sleeps for a whole period although there is
        // work.
        let woken = wake.notified();
        let Some(owner) = owner.upgrade() else {
            return;
        };
        record.start();
        let began = Instant::now();
        let result = once(Arc::clone(&run), owner).await;
        let pause = record.finish(result, began.elapsed());
        // A notification that arrives in this time is kept by `woken` or as the permit of
        // `wake`, and starts the next run as soon as it may start.
        if let Some(earliest) = pause.earliest {
            time::sleep_until(earliest).await;
        }
        let _ = time::timeout_at(pause.until, woken).await;
    }
}

/// A single run, as a tokio task of its own: a panic ends the run and not the
/// driver. Takes the owner by value, so that nothing holds it once the run is over.
async fn once<Owner, Run, Fut>(run: Arc<Run>, owner: Arc<Owner>) -> Result<Ran, String>
where
    Owner: Send + Sync + 'static,
    Run: Fn(Arc<Owner>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Ran, String>> + Send + 'static,
{
    let run = tokio::spawn(async move { run(owner).await });
    run.await.unwrap_or_else(|error| Err(describe(error)))
}

fn describe(error: JoinError) -> String {
    match error.try_into_panic() {
        Ok(payload) => format!("panicked: {}", message(payload.as_ref())),
        // Only when the runtime shuts down, which ends the driver as well.
        Err(error) => error.to_string(),
    }
}

fn message(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| payload.downcast_ref::<&str>().copied())
        .unwrap_or("without a message")
}
