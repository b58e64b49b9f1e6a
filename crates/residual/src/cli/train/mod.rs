//! `residual train`.

mod arguments;
mod watch;

use std::path::{Path, PathBuf};

use residual::train::{Outcome as End, Recipe, Trainer};

pub(crate) use self::arguments::Arguments;
use self::watch::Watch;
use super::compute::Memory;
use super::failure::{Failure, Outcome};
use super::interrupt;
use super::output::Output;
use super::progress::note;
use super::table::thousands;
use super::threads;

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let trainer = match &arguments.resume {
        Some(folder) => resume(arguments, folder)?,
        None => begin(arguments)?,
    };
    describe(&trainer);
    let folder = trainer.folder().to_owned();
    let stop = interrupt::listen()?;
    let mut watch = Watch::new(&trainer);
    let end = trainer.run(&mut watch, &stop);
    watch.finish();
    match end? {
        End::Finished { best } => finished(&folder, best.epoch, best.top1),
        End::Interrupted { epoch, step } => {
            note(&format!("stopped in epoch {epoch}, after step {step}; everything is saved. To go on:"));
            note(&format!("  residual train --resume {}", quoted(&folder)));
            Err(Failure::Interrupted)
        }
    }
}

fn begin(arguments: &Arguments) -> Outcome<Trainer> {
    let recipe = arguments.recipe()?;
    recipe.validate()?;
    threads::limit(recipe.threads)?;
    let out = arguments.out.clone().unwrap_or_else(|| free_folder(&recipe));
    let mut trainer = Trainer::begin(&recipe, out)?;
    trainer.set_threads(threads::count(recipe.threads));
    if let Some(head) = trainer.replaced_head() {
        let (found, classes) = (head.found, head.classes);
        note(&format!("the weights' head is for {found} classes: it is replaced by a new one for {classes}"));
    }
    Ok(trainer)
}

fn resume(arguments: &Arguments, folder: &Path) -> Outcome<Trainer> {
    // Where there is no recipe to read, resuming says so.
    let threads = arguments.threads.or_else(|| Recipe::read(folder.join("recipe.toml")).ok()?.threads);
    threads::limit(threads)?;
    let mut trainer = Trainer::resume(folder)?;
    trainer.set_threads(threads::count(threads));
    if let Some(memory) = arguments.memory {
        trainer.set_low_memory(memory == Memory::Low);
    }
    if arguments.skip_bad {
        trainer.set_skip_bad(true);
    }
    note(&format!("resuming after step {} of {}", trainer.steps_done(), trainer.total_steps()));
    Ok(trainer)
}

/// The first of `runs/MODEL-1`, `runs/MODEL-2`, ... that does not exist.
fn free_folder(recipe: &Recipe) -> PathBuf {
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

/// What is about to be trained.
fn describe(trainer: &Trainer) {
    let (recipe, spec) = (trainer.recipe(), trainer.network().spec());
    let parameters = trainer.network().parameters();
    let count = |frozen: bool| -> u64 {
        let chosen = parameters.iter().filter(|parameter| parameter.frozen == frozen);
        chosen.map(|parameter| parameter.shape.iter().product::<usize>() as u64).sum()
    };
    let frozen = match count(true) {
        0 => String::new(),
        frozen => format!(", {} more are frozen", thousands(frozen)),
    };
    let data = residual_files::escaped(&recipe.data.path);
    let (folder, epochs, steps) = (trainer.folder().display(), recipe.epochs, trainer.total_steps());
    let (split, held_out) = trainer.evaluation_images();
    let images = format!("{} images, {} more ({split}) to evaluate on", trainer.training_images(), held_out);
    note(&format!("{data}: {}; {images}", trainer.classes_summary()));
    trainer.notes().iter().for_each(|noticed| note(&noticed.to_string()));
    note(&format!("{}: {} parameters to train{frozen}", spec.name, thousands(count(false))));
    note(&format!("{folder}: {epochs} epochs, {steps} steps of {} images", recipe.batch_size));
}

fn finished(folder: &Path, epoch: usize, top1: f64) -> Outcome {
    let best = folder.join("best.safetensors");
    let mut output = Output::new();
    output.line(format_args!("best: {:.2}% after epoch {epoch}, in {}", 100.0 * top1, best.display()))?;
    output.line("to try it:")?;
    output.line(format_args!("  residual predict --weights {} IMAGE", quoted(&best)))
}

/// The path as a shell takes it.
pub(crate) fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_alphanumeric() || "/._-+,:@%".contains(c);
    match text.chars().all(plain) {
        true => text,
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_quoted_where_a_shell_needs_it() {
        assert_eq!(quoted(Path::new("runs/small-1")), "runs/small-1");
        assert_eq!(quoted(Path::new("my runs/it's")), r"'my runs/it'\''s'");
    }

    #[test]
    fn the_default_folder_is_free_and_plain() {
        let recipe = Recipe { model: Some("../evil name".into()), ..Recipe::default() };
        assert_eq!(free_folder(&recipe), Path::new("runs/_evil_name-1"));
    }
}
