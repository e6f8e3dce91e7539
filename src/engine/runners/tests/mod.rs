//! Leases against a paused clock, which advances only while all tasks wait: minutes pass in
//! no time, and always in the same order.

mod cases;
mod logs;
mod unreliable;
mod world;
