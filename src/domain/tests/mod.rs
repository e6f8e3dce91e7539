//! What must hold of any pipeline and any order of commands.

mod conditions;
mod machine;
mod world;
