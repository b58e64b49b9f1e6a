//! `residual bench`: how fast this machine is at it.

mod memory;
mod train;

use clap::{Args, Subcommand};

use super::failure::Outcome;

const EXAMPLE: &str = "\
Example:
  residual bench train --model small --batch 128";

/// Measure time and memory on this machine.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Train(train::Arguments),
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    match &arguments.what {
        What::Train(arguments) => train::run(arguments),
    }
}
