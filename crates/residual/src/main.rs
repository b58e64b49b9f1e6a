//! The command line: define, check, train, evaluate and predict with residual networks.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}
