//! What is done with a data directory from outside of the service.

mod backup;
mod check;
mod rotate;

pub use backup::{BackupError, Manifest, back_up, restore};
pub use check::{Checked, check};
pub use rotate::{RotateError, Rotated, rotate};
