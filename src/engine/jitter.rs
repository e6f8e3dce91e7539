//! Random parts of pauses, so that callers that failed together do not all retry at the same
//! time.

/// A random number from 0 to 1, without 1.
pub(super) fn jitter() -> f64 {
    #[cfg(test)]
    if let Some(seeded) = seeded::next() {
        return seeded;
    }
    rand::random()
}

/// A thread whose jitter comes from a seed, so that a simulation can be repeated.
#[cfg(test)]
pub(super) mod seeded {
    use std::cell::RefCell;

    use rand::{RngExt, SeedableRng, rngs::StdRng};

    thread_local! {
        static SEEDED: RefCell<Option<StdRng>> = const { RefCell::new(None) };
    }

    pub(in crate::engine) fn seed(seed: u64) {
        SEEDED.set(Some(StdRng::seed_from_u64(seed)));
    }

    pub(super) fn next() -> Option<f64> {
        SEEDED.with_borrow_mut(|seeded| seeded.as_mut().map(|seeded| seeded.random()))
    }
}
