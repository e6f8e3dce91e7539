//! The `pipewright` binary.

fn main() {}
