//! The top of the command line: which command, and how the process ends.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[cfg(feature = "onnx")]
use super::export;
use super::failure::{Failure, Outcome};
#[cfg(feature = "get")]
use super::get;
#[cfg(feature = "onnx")]
use super::import;
#[cfg(feature = "page")]
use super::page;
#[cfg(feature = "serve")]
use super::serve;
use super::{
    average, bench, calibrate, convert, draw, embed, eval, inspect, interrupt, models, predict, quantize,
    search, summary, verify,
};
#[cfg(feature = "train")]
use super::{data, doctor, finetune, lr_find, recipes, runs, study, train};

/// Define, check, train, evaluate and predict with residual networks.
#[derive(Debug, Parser)]
#[command(name = "residual", version, max_term_width = 80, after_help = EXAMPLE)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// Show the causes of an error.
    #[arg(short, long, global = true, display_order = 100)]
    verbose: bool,
}

const EXAMPLE: &str = "\
Example, from nothing to a prediction:
  residual train --recipe first --data sample --out runs/first
  residual predict --weights runs/first/best.safetensors photo.jpg";

#[derive(Debug, Subcommand)]
enum Command {
    #[cfg(feature = "train")]
    Train(Box<train::Arguments>),
    #[cfg(feature = "train")]
    Finetune(Box<finetune::Arguments>),
    #[cfg(feature = "train")]
    LrFind(Box<lr_find::Arguments>),
    Eval(eval::Arguments),
    Calibrate(calibrate::Arguments),
    Quantize(quantize::Arguments),
    Predict(predict::Arguments),
    Embed(embed::Arguments),
    #[cfg(feature = "page")]
    Page(Box<page::Arguments>),
    Search(search::Arguments),
    #[cfg(feature = "serve")]
    Serve(Box<serve::Arguments>),
    Summary(summary::Arguments),
    Draw(draw::Arguments),
    Verify(verify::Arguments),
    Models(models::Arguments),
    #[cfg(feature = "train")]
    Recipes(recipes::Arguments),
    #[cfg(feature = "train")]
    Runs(runs::Arguments),
    #[cfg(feature = "get")]
    Get(get::Arguments),
    Inspect(inspect::Arguments),
    Convert(convert::Arguments),
    Average(average::Arguments),
    #[cfg(feature = "onnx")]
    Export(export::Arguments),
    #[cfg(feature = "onnx")]
    Import(import::Arguments),
    Bench(bench::Arguments),
    #[cfg(feature = "train")]
    Data(data::Arguments),
    #[cfg(feature = "train")]
    Doctor(doctor::Arguments),
    #[cfg(feature = "train")]
    Study(study::Arguments),
}

impl Command {
    fn run(self, verbose: bool) -> Outcome {
        #[cfg(feature = "train")]
        if !matches!(self, Self::Train(_)) {
            super::ranks::refuse(&own_name())?;
        }
        match self {
            #[cfg(feature = "train")]
            Self::Train(arguments) => train::run(&arguments),
            #[cfg(feature = "train")]
            Self::Finetune(arguments) => finetune::run(&arguments),
            #[cfg(feature = "train")]
            Self::LrFind(arguments) => lr_find::run(&arguments),
            Self::Eval(arguments) => eval::run(&arguments),
            Self::Calibrate(arguments) => calibrate::run(&arguments),
            Self::Quantize(arguments) => quantize::run(&arguments),
            Self::Predict(arguments) => predict::run(&arguments, verbose),
            Self::Embed(arguments) => embed::run(&arguments),
            #[cfg(feature = "page")]
            Self::Page(arguments) => page::run(&arguments),
            Self::Search(arguments) => search::run(&arguments, verbose),
            #[cfg(feature = "serve")]
            Self::Serve(arguments) => serve::run(&arguments),
            Self::Summary(arguments) => summary::run(&arguments),
            Self::Draw(arguments) => draw::run(&arguments),
            Self::Verify(arguments) => verify::run(&arguments, verbose),
            Self::Models(arguments) => models::run(&arguments),
            #[cfg(feature = "train")]
            Self::Recipes(arguments) => recipes::run(&arguments),
            #[cfg(feature = "train")]
            Self::Runs(arguments) => runs::run(&arguments),
            #[cfg(feature = "get")]
            Self::Get(arguments) => get::run(&arguments),
            Self::Inspect(arguments) => inspect::run(&arguments),
            Self::Convert(arguments) => convert::run(&arguments),
            Self::Average(arguments) => average::run(&arguments),
            #[cfg(feature = "onnx")]
            Self::Export(arguments) => export::run(&arguments),
            #[cfg(feature = "onnx")]
            Self::Import(arguments) => import::run(&arguments),
            Self::Bench(arguments) => bench::run(&arguments),
            #[cfg(feature = "train")]
            Self::Data(arguments) => data::run(&arguments),
            #[cfg(feature = "train")]
            Self::Doctor(arguments) => doctor::run(&arguments),
            #[cfg(feature = "train")]
            Self::Study(arguments) => study::run(&arguments),
        }
    }
}

/// Runs the command that the process was started with, and gives its exit code.
pub(crate) fn run() -> ExitCode {
    let Arguments { command, verbose } = Arguments::parse();
    interrupt::let_writes_fail();
    let outcome = command.run(verbose);
    let code = outcome.as_ref().err().map_or(0, Failure::exit_code);
    match outcome {
        #[cfg(feature = "train")]
        Ok(()) => super::ranks::leave(),
        #[cfg(feature = "train")]
        Err(failure) => super::ranks::announce(&failure, verbose),
        #[cfg(not(feature = "train"))]
        Ok(()) => {}
        #[cfg(not(feature = "train"))]
        Err(failure) => failure.announce(verbose),
    }
    ExitCode::from(code)
}

/// Name of the command that was given.
#[cfg(feature = "train")]
fn own_name() -> String {
    std::env::args().skip(1).find(|word| !word.starts_with('-')).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn every_command_shows_an_example() {
        for command in Arguments::command().get_subcommands() {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let call = format!("residual {} ", command.get_name());
            assert!(help.contains("Example") && (help + " ").contains(&call), "{}", command.get_name());
        }
    }
}
