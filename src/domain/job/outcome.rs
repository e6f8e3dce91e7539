/// The outcome of an attempt at a stage, as its runner reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Exit status 0.
    Succeeded,
    /// Another exit status, or a signal.
    CommandFailed,
    /// Killed at its timeout.
    TimedOut,
    /// Killed because the service requested it.
    Cancelled,
    /// The source could not be checked out.
    CheckoutFailed,
    /// The command could not be started.
    RunnerError,
    /// Not started; another runner may run it.
    Returned,
}
