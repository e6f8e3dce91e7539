//! The engine on a store that fails, stalls and comes back, against a clock that stands
//! still unless all wait.

mod dropped;
mod failing_store;
mod history;
mod planted;
mod reopen;
mod runner;
mod world;
