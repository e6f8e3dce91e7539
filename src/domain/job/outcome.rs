/// How a runner says that an attempt at a stage ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Exit status 0.
    Succeeded,
    /// Another exit status, or a signal.
    CommandFailed,
    /// Killed at its timeout.
    TimedOut,
    /// Killed at the service's word.
    Cancelled,
    /// The source could not be checked out.
    CheckoutFailed,
    /// The command could not be started.
    RunnerError,
    /// Not started: another runner may have it.
    Returned,
}
