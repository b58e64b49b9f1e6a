//! `residual train --seeds`: the same training with several seeds.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use residual::train::{Outcome as End, SeedRuns, SeedSummary};

use super::arguments::Arguments;
use super::{describe, events_folder, free_folder, quoted, say_beginning, watched};
use crate::cli::failure::{Failure, Outcome};
use crate::cli::output::Output;
use crate::cli::progress::note;
use crate::cli::threads;

/// Runs that the flags ask for: those of `--seeds`, or those of a folder to resume; `None` for a single run.
pub(super) fn asked_for(arguments: &Arguments) -> Outcome<Option<SeedRuns>> {
    if let Some(folder) = arguments.resume.as_deref().filter(|folder| SeedRuns::are_in(folder)) {
        return Ok(Some(SeedRuns::open(folder)?));
    }
    let Some(seeds) = &arguments.seeds else { return Ok(None) };
    let recipe = arguments.recipe()?;
    threads::limit(recipe.threads)?;
    let out = arguments.out.clone().unwrap_or_else(|| free_folder(&recipe));
    Ok(Some(SeedRuns::new(&recipe, seeds.iter().copied(), out)?))
}

/// Trains seed after seed; what is finished is not trained again.
pub(super) fn run(runs: &SeedRuns, arguments: &Arguments, stop: &Arc<AtomicBool>) -> Outcome {
    let mut first = true;
    for &seed in runs.seeds() {
        let mut trainer = runs.trainer(seed, |training| training.stop(stop.clone()))?;
        if std::mem::take(&mut first) {
            say_beginning(&trainer);
            describe(&trainer, trainer.steps_done() == 0);
        }
        let (done, total) = (trainer.steps_done(), trainer.total_steps());
        note(&match trainer.is_over() {
            true => format!("seed {seed}: finished already"),
            false => format!("seed {seed}: from step {done} of {total}"),
        });
        let folder = trainer.folder().to_owned();
        let events = match (&arguments.tensorboard, folder.file_name()) {
            // A folder for each seed.
            (Some(Some(given)), Some(name)) => Some(given.join(name)),
            _ => events_folder(arguments, &folder),
        };
        if let End::Interrupted { epoch, step } = watched(&mut trainer, events.as_deref())? {
            note(&format!(
                "stopped in epoch {epoch} of seed {seed}, after step {step}; everything is saved. To go on:"
            ));
            note(&format!("  residual train --resume {}", quoted(runs.folder())));
            return Err(Failure::Interrupted);
        }
        drop(trainer);
        runs.write(&runs.summary()?)?;
    }
    say(&runs.summary()?, runs.folder())
}

fn say(summary: &SeedSummary, folder: &Path) -> Outcome {
    let mut output = Output::new();
    for run in &summary.runs {
        output.line(format_args!("seed {}: {} after epoch {}", run.seed, run.best, run.best.epoch))?;
    }
    let SeedSummary { mean, deviation, .. } = summary;
    let of_accuracy = summary.runs.iter().all(|run| run.best.score.is_none());
    let text = match of_accuracy {
        true => format!("{:.2}%, deviation {:.2} points", 100.0 * mean, 100.0 * deviation),
        false => format!("{mean:.4}, deviation {deviation:.4}"),
    };
    let (count, file) = (summary.runs.len(), folder.join("seeds.json"));
    output.line(format_args!("mean of {count}: {text}, in {}", file.display()))
}
