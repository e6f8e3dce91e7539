//! Tests of the job state machine.
#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "a test matches the states that it expects; a new state does not affect it"
)]

mod conditions;
mod facts;
mod losses;
mod machine;
mod pipelines;
mod progress;
mod times;
mod world;
