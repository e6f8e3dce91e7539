//! The `pipewright` binary.

use std::process::ExitCode;

#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    // First: it forks, which only a process of one thread may.
    if let Some(code) = pipewright::supervisor::dispatch() {
        return code;
    }
    pipewright::cli::main()
}
