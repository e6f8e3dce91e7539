//! Leases against a clock that stands still unless all wait: minutes pass in no time,
//! and always in the same order.

mod cases;
mod logs;
mod unreliable;
mod world;
