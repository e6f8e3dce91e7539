//! What must hold of any pipeline and any order of commands.
#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "a test looks for what it knows; a new state changes nothing for it"
)]

mod conditions;
mod facts;
mod losses;
mod machine;
mod pipelines;
mod progress;
mod times;
mod world;
