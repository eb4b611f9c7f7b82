//! Start-up, and the allocator: everything else lives in the library.

use std::process::ExitCode;

/// A scheduler reads and writes many small objects: glibc's allocator took a sixth of its processor time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    muster::cli::main()
}
