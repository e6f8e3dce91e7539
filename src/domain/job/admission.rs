use crate::domain::ConcurrencyPolicy;

/// How the concurrency policy handles a new job and the active ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// The new job starts immediately.
    Start,
    /// The new job waits until it is the oldest active job of its pipeline.
    Wait,
    /// The active jobs are cancelled, and the new job waits until they have ended.
    Supersede,
}

/// Decides how a new job of a pipeline is admitted. `others_active` means that another job
/// of the pipeline is active.
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
