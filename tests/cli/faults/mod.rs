//! The runner's part of the table of faults, each row on real processes, with its
//! figure.

mod hostile;
mod logs;
mod proxy;
mod runners;
