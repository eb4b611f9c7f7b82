//! Start-up: everything else lives in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    muster::cli::main()
}
