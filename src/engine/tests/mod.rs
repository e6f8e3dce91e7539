//! The engine on a store that fails, stalls and recovers, with a clock that only
//! advances while all tasks wait.

mod budgets;
mod dropped;
mod failing_store;
mod history;
mod planted;
mod reopen;
mod runner;
mod sealing;
mod simulation;
mod world;
