//! The table of faults, each row on real processes, with its figure.

mod beside;
mod connections;
mod crowds;
mod hostile;
mod logs;
mod proxy;
mod runners;
mod wire;
