//! Interrupted calls: their future is dropped at one of its awaits, or the store
//! fails once. The change was made completely or not at all, and all who wait for
//! it are notified.

mod cases;
mod observers;
mod picture;
mod runner_cases;
mod scene;

use std::{future::poll_fn, pin::Pin, task::Poll};

use super::world::{World, settle};
use cases::OF_CALLERS;
use observers::Observers;
use picture::picture;
use runner_cases::OF_RUNNERS;
use scene::Scene;

type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A call that changes something.
#[derive(Clone, Copy)]
pub(super) struct Case {
    pub(super) name: &'static str,
    /// Brings a new world to a state in which the call makes sense.
    prepare: for<'a> fn(&'a World) -> Boxed<'a, Scene>,
    /// Returns what a repetition has to return as well.
    call: for<'a> fn(&'a World, &'a Scene) -> Boxed<'a, Result<String, String>>,
    /// A repetition changes nothing.
    is_repeatable: bool,
}

/// Where a call is interrupted.
#[derive(Clone, Copy, Debug)]
enum Cut {
    /// Its future is dropped after this many polls.
    AtAwait(usize),
    /// This many calls of the store succeed, and the next one fails: in the call
    /// itself, or in its follow-ups.
    AtCall(usize),
}

/// Drops a call at each of its awaits, on a new world each time, and returns what
/// was wrong. `prepare` sets up the store before anything else happens.
pub(super) async fn dropped_at_every_await(
    case: &Case,
    prepare: impl Fn(&World),
) -> Result<(), String> {
    interrupted(case, prepare, Cut::AtAwait).await
}

async fn interrupted(
    case: &Case,
    prepare: impl Fn(&World),
    cut: fn(usize) -> Cut,
) -> Result<(), String> {
    let done = Played::to_the_end(case, &prepare).await?;
    for cut in (0..).map(cut) {
        let played = Played::until(case, &prepare, cut).await;
        let is_complete = played.is_complete;
        let checked = played.check(case, &done);
        checked.map_err(|what| format!("{}, {cut:?}: {what}", case.name))?;
        if is_complete {
            break;
        }
    }
    Ok(())
}

/// The outcome of a call, interrupted or not.
struct Played {
    /// It was not interrupted.
    is_complete: bool,
    before: Vec<String>,
    after: Vec<String>,
    /// Whether the observers were notified of the change.
    observed: Result<(), String>,
    /// All responses to the call and its repetitions.
    answers: Result<Vec<String>, String>,
    /// The state after the repetitions.
    repeated: Vec<String>,
}

impl Played {
    async fn to_the_end(case: &Case, prepare: &impl Fn(&World)) -> Result<Self, String> {
        let played = Self::until(case, prepare, Cut::AtAwait(usize::MAX)).await;
        match &played.answers {
            Err(error) => Err(format!("{} fails: {error}", case.name)),
            Ok(_) if played.before == played.after => Err(format!("{} changes nothing", case.name)),
            Ok(_) => Ok(played),
        }
    }

    async fn until(case: &Case, prepare: &impl Fn(&World), cut: Cut) -> Self {
        let world = World::new().await;
        let scene = (case.prepare)(&world).await;
        prepare(&world);
        world.store.yields(true);
        let mut observers = Observers::start(&world, &scene);
        settle().await;
        let before = picture(&world).await;

        let call = (case.call)(&world, &scene);
        let first = match cut {
            Cut::AtAwait(polls) => polled(call, polls).await,
            Cut::AtCall(calls) => {
                world.store.fail_after(calls);
                // The text of an error is checked where no error is expected.
                call.await.ok().map(Ok)
            }
        };
        settle().await;
        let is_complete = match cut {
            Cut::AtAwait(_) => first.is_some(),
            Cut::AtCall(_) => world.store.has_yet_to_fail(),
        };
        world.store.fail_no_more();
        let after = picture(&world).await;
        let mut observed = observers.check(&world).await;

        let mut answers: Vec<_> = first.into_iter().collect();
        if case.is_repeatable {
            for _ in 0..2 {
                answers.push((case.call)(&world, &scene).await);
            }
            settle().await;
            if observed.is_ok() {
                observed = observers.check(&world).await;
            }
        }
        Self {
            is_complete,
            before,
            after,
            observed,
            answers: answers.into_iter().collect(),
            repeated: picture(&world).await,
        }
    }

    /// Checks that the change was made completely or not at all, and that all who wait
    /// for it know.
    fn check(self, case: &Case, done: &Self) -> Result<(), String> {
        if self.after != self.before && self.after != done.after {
            let (half, whole) = (self.after, &done.after);
            return Err(format!("half of it was done: {half:#?}\nof {whole:#?}"));
        }
        self.observed?;
        if !case.is_repeatable {
            return Ok(());
        }
        let answers = self.answers?;
        if answers.windows(2).any(|two| two[0] != two[1]) {
            return Err(format!("repetitions are answered otherwise: {answers:?}"));
        }
        if self.repeated != done.after {
            let (other, right) = (self.repeated, &done.after);
            return Err(format!("repeated, it does {other:#?}\nand not {right:#?}"));
        }
        Ok(())
    }
}

/// Polls a future up to `times` times, whenever it is woken, and then drops it.
async fn polled<T>(future: impl Future<Output = T>, times: usize) -> Option<T> {
    let mut future = Box::pin(future);
    let mut left = times;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match future.as_mut().poll(context) {
            Poll::Ready(answer) => Poll::Ready(Some(answer)),
            // Dropped at this point: it need not be woken any more.
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

fn all_cases() -> impl Iterator<Item = &'static Case> {
    OF_CALLERS.iter().chain(OF_RUNNERS)
}

/// Finds a case of the tables by its name.
pub(super) fn case(name: &str) -> &'static Case {
    let found = all_cases().find(|case| case.name == name);
    found.unwrap_or_else(|| panic!("no case is named {name}"))
}

#[tokio::test(start_paused = true)]
async fn a_dropped_call_is_atomic_and_notifies_all_waiters() {
    interrupt_all(Cut::AtAwait).await;
}

#[tokio::test(start_paused = true)]
async fn a_single_store_failure_is_atomic_and_notifies_all_waiters() {
    interrupt_all(Cut::AtCall).await;
}

async fn interrupt_all(cut: fn(usize) -> Cut) {
    let mut wrong = Vec::new();
    for case in all_cases() {
        wrong.extend(interrupted(case, |_| {}, cut).await.err());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
