//! Directories that are removed after use: those in which untrusted commands ran, and
//! temporary ones, which the next process removes if their own was killed.
//!
//! Nothing here follows a symlink, and nothing is removed by its path alone: a command
//! may have put something else in its place.

mod directory;
mod removal;
mod temporary;

pub use directory::{Child, Directory};
pub use temporary::{Temporary, sweep};
