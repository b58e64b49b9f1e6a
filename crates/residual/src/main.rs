//! The command line: define, check, train, evaluate and predict with residual networks.

mod cli;

use std::process::ExitCode;

/// Allocator of static binaries. musl's own takes every large buffer from the system and gives it back at once, so that each
/// decoded image is paid for in page faults (docs/deploy.md has the figures).
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::run()
}
