//! `residual bench`: how fast this machine is at it.

#[cfg(feature = "train")]
mod blocks;
#[cfg(feature = "train")]
mod data;
mod infer;
mod memory;
#[cfg(feature = "train")]
mod pace;
#[cfg(feature = "train")]
mod train;

use clap::{Args, Subcommand};

use super::failure::Outcome;

const EXAMPLE: &str = "\
Examples:
  residual bench infer --model resnet18 --batch 16
  residual bench infer --model resnet50 --batch 1 --threads 1 --layers
  residual bench train --model small --batch 128
  residual bench data photos";

/// Measure speed and memory.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Infer(infer::Arguments),
    #[cfg(feature = "train")]
    Data(data::Arguments),
    #[cfg(feature = "train")]
    Train(train::Arguments),
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    match &arguments.what {
        What::Infer(arguments) => infer::run(arguments),
        #[cfg(feature = "train")]
        What::Data(arguments) => data::run(arguments),
        #[cfg(feature = "train")]
        What::Train(arguments) => train::run(arguments),
    }
}
