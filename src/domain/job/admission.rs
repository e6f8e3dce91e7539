use crate::domain::ConcurrencyPolicy;

/// What becomes of a new job, and of those that are active.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It starts at once.
    Start,
    /// It waits until it is the oldest active job of its pipeline.
    Wait,
    /// The active ones are cancelled, and it waits for their end.
    Supersede,
}

/// Decides on a new job of a pipeline, given whether another one is active.
pub fn admission(policy: ConcurrencyPolicy, others_active: bool) -> Admission {
    match (policy, others_active) {
        (ConcurrencyPolicy::Allow, _) | (_, false) => Admission::Start,
        (ConcurrencyPolicy::Queue, true) => Admission::Wait,
        (ConcurrencyPolicy::CancelRunning, true) => Admission::Supersede,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_decides_only_while_another_job_is_active() {
        use ConcurrencyPolicy::{Allow, CancelRunning, Queue};
        for policy in [Allow, Queue, CancelRunning] {
            assert_eq!(admission(policy, false), Admission::Start);
        }
        assert_eq!(admission(Allow, true), Admission::Start);
        assert_eq!(admission(Queue, true), Admission::Wait);
        assert_eq!(admission(CancelRunning, true), Admission::Supersede);
    }
}
