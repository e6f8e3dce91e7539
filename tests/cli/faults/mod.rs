//! The table of faults, each row with real processes and its limit.

mod beside;
mod connections;
mod crowds;
mod hostile;
mod logs;
mod proxy;
mod runners;
mod wire;
