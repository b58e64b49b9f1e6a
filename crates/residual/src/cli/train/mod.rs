//! `residual train`.

mod arguments;
mod augment;
mod freeze_arguments;
mod loop_arguments;
mod seeds;
mod task_arguments;
mod view;
mod watch;

use std::path::{Path, PathBuf};
use std::time::Duration;

use residual::nn::fused::Memory;
use residual::train::{Best, Changes, Error, Outcome as End, Recipe, TensorBoard, Trainer, Training};
use residual_files::escaped;

pub(crate) use self::arguments::Arguments;
use self::watch::Watch;
pub(crate) use self::watch::{rate, score};
use super::command::quoted;
use super::failure::{Failure, Outcome};
use super::interrupt;
use super::output::Output;
use super::progress::note;
use super::ranks;
use super::table::thousands;
use super::threads;

/// Seconds that a process of several waits for another.
const RANK_TIMEOUT: u64 = 600;

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    // Before there is a folder that a failure would leave behind.
    let stop = interrupt::listen()?;
    let ranks = ranks::join(Duration::from_secs(arguments.rank_timeout.unwrap_or(RANK_TIMEOUT)))?;
    if let Some(runs) = seeds::asked_for(arguments)? {
        if ranks.ranks() > 1 {
            return Err(Failure::new("--seeds: several processes train one seed at a time; help: --seed N"));
        }
        return seeds::run(&runs, arguments, &stop);
    }
    let trainer = match &arguments.resume {
        Some(folder) => resume(arguments, folder, Training::default().stop(stop).ranks(ranks.clone()))?,
        None => begin(arguments, |recipe| Training::new(recipe).stop(stop).ranks(ranks.clone()))?,
    };
    if ranks.ranks() > 1 {
        note(&format!("{} processes share {} shards of each batch", ranks.ranks(), trainer.recipe().shards));
    }
    describe(&trainer, arguments.resume.is_none());
    to_the_end(trainer, arguments)
}

/// Trains to the end, and says what came of it, or how to go on.
pub(crate) fn to_the_end(mut trainer: Trainer<'static>, arguments: &Arguments) -> Outcome {
    let folder = trainer.folder().to_owned();
    if !ranks::is_first() {
        return match trainer.run()? {
            End::Finished { .. } => Ok(()),
            End::Interrupted { .. } => Err(Failure::Interrupted),
        };
    }
    let end = watched(&mut trainer, events_folder(arguments, &folder).as_deref());
    let (done, epochs) = (trainer.epochs_done(), trainer.recipe().epochs);
    drop(trainer);
    match end? {
        End::Finished { best, early, .. } => {
            if early {
                note(&format!("ended early, after epoch {done} of {epochs} (early_stop)"));
            }
            finished(&folder, best)
        }
        End::Interrupted { epoch, step } => {
            note(&format!("stopped in epoch {epoch}, after step {step}; everything is saved. To go on:"));
            note(&format!("  residual train --resume {}", quoted(&folder)));
            Err(Failure::Interrupted)
        }
    }
}

/// Folder of the TensorBoard events of a run, where they are asked for.
fn events_folder(arguments: &Arguments, run: &Path) -> Option<PathBuf> {
    let given = arguments.tensorboard.as_ref()?;
    Some(given.clone().unwrap_or_else(|| run.to_owned()))
}

/// Trains to the end while a person looks on, and writes events into a folder.
fn watched(trainer: &mut Trainer<'static>, events: Option<&Path>) -> Result<End, Error> {
    let events = events.map(|folder| TensorBoard::of(trainer, folder)).transpose()?;
    trainer.observe(Watch::new(trainer, events));
    let end = trainer.run();
    trainer.image_notes().iter().for_each(|noticed| note(&noticed.to_string()));
    end
}

fn begin(
    arguments: &Arguments,
    training: impl FnOnce(&Recipe) -> Training<'static>,
) -> Outcome<Trainer<'static>> {
    let recipe = arguments.recipe()?;
    recipe.validate()?;
    threads::limit(recipe.threads)?;
    let out = arguments.out.clone().unwrap_or_else(|| free_folder(&recipe));
    let trainer = training(&recipe).begin(out)?;
    say_beginning(&trainer);
    Ok(trainer)
}

/// Says what the weights are that a training begins with.
fn say_beginning(trainer: &Trainer) {
    trainer.remarks().iter().for_each(|remark| note(&format!("weights: {remark}")));
    if let Some(head) = trainer.replaced_head() {
        let (found, classes) = (head.found, head.classes);
        note(&match found {
            0 => format!("the weights have no head: a new one for {classes} classes"),
            _ => {
                format!("the weights' head is for {found} classes: it is replaced by a new one for {classes}")
            }
        });
    }
}

fn resume(arguments: &Arguments, folder: &Path, training: Training<'static>) -> Outcome<Trainer<'static>> {
    // Where there is no recipe to read, or one that cannot be, resuming says so.
    let written = || Recipe::read(folder.join("recipe.toml")).ok().filter(|recipe| recipe.validate().is_ok());
    let threads = arguments.threads.or_else(|| written()?.threads);
    threads::limit(threads)?;
    let changes = Changes { data: arguments.data.clone(), epochs: arguments.epochs };
    let mut trainer = training.changes(changes).resume(folder)?;
    if let Some(threads) = arguments.threads {
        trainer.set_threads(threads);
    }
    if let Some(memory) = arguments.memory {
        trainer.set_low_memory(memory == Memory::Low);
    }
    if arguments.skip_bad {
        trainer.set_skip_bad(true);
    }
    if let Some(cache) = arguments.cache {
        trainer.set_cache(cache)?;
    }
    trainer.remarks().iter().for_each(|remark| note(remark));
    note(&format!("resuming after step {} of {}", trainer.steps_done(), trainer.total_steps()));
    Ok(trainer)
}

/// The first of `runs/MODEL-1`, `runs/MODEL-2`, ... that does not exist.
pub(crate) fn free_folder(recipe: &Recipe) -> PathBuf {
    let name = match (&recipe.network, &recipe.model) {
        (Some(spec), _) => spec.name.as_str(),
        (None, Some(model)) => model.as_str(),
        (None, None) => "small",
    };
    let plain = |c: char| if c.is_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '_' };
    let name: String = name.trim_start_matches('.').chars().map(plain).collect();
    let numbered = (1usize..).map(|number| Path::new("runs").join(format!("{name}-{number}")));
    // Infinitely many names cannot all be taken.
    numbered.into_iter().find(|folder| !folder.exists()).unwrap_or_default()
}

/// Announcement of what is about to be trained, and of what was chosen for a new run.
pub(crate) fn describe(trainer: &Trainer, is_new: bool) {
    let (recipe, spec) = (trainer.recipe(), trainer.network().spec());
    note(&trainer.classes_summary());
    let parameters = trainer.network().parameters();
    let count = |frozen: bool| -> u64 {
        let chosen = parameters.iter().filter(|parameter| parameter.frozen == frozen);
        chosen.map(|parameter| parameter.shape.iter().product::<usize>() as u64).sum()
    };
    let frozen = match count(true) {
        0 => String::new(),
        frozen => format!(", {} more are frozen", thousands(frozen)),
    };
    trainer.notes().iter().for_each(|noticed| note(&noticed.to_string()));
    note(&format!("{}: {} parameters to train{frozen}", spec.name, thousands(count(false))));
    let data = escaped(&recipe.data.path);
    let (split, held_out) = trainer.evaluation_images();
    note(&format!("{data}: {} images, {held_out} more ({split}) to evaluate on", trainer.training_images()));
    note(&trainer.cache().to_string());
    let (folder, epochs, steps) = (escaped(trainer.folder()), recipe.epochs, trainer.total_steps());
    let rate = format!("learning rate {}", watch::rate(recipe.rate()));
    note(&format!(
        "{folder}: {epochs} epochs, {steps} steps of {} images, {rate}",
        trainer.images_per_step()
    ));
    let left_out = trainer.training_images() % trainer.images_per_step();
    if is_new && recipe.drop_last == Some(true) && left_out > 0 {
        note(&format!(
            "each epoch leaves out another {left_out} of the images, which do not fill a batch (drop_last)"
        ));
    }
    if is_new && is_inside(trainer.folder(), &recipe.data.path) {
        note("the run's folder is inside the data; it is known by its recipe.toml and not read as a class");
    }
}

/// True where a folder lies in another one.
fn is_inside(folder: &Path, data: &Path) -> bool {
    let real = |path: &Path| std::fs::canonicalize(path).ok();
    real(folder).zip(real(data)).is_some_and(|(folder, data)| folder.starts_with(data))
}

fn finished(folder: &Path, found: Best) -> Outcome {
    let best = folder.join("best.safetensors");
    let mut output = Output::new();
    let after = match found.epoch {
        0 => "before the first step (no epoch was better)".to_owned(),
        epoch => format!("after epoch {epoch}"),
    };
    output.line(format_args!("best: {found} {after}, in {}", best.display()))?;
    let report = folder.join("report.html");
    // Where it could not be written, a remark has said so.
    if report.is_file() {
        output.line(format_args!("what happened, to be opened in a browser: {}", report.display()))?;
    }
    output.line("to try it:")?;
    output.line(format_args!("  residual predict --weights {} IMAGE", quoted(&best)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_folder_is_free_and_plain() {
        let recipe = Recipe::default().with(|recipe| recipe.model = Some("../evil name".into()));
        assert_eq!(free_folder(&recipe), Path::new("runs/_evil_name-1"));
    }
}
