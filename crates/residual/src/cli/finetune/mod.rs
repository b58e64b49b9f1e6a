//! `residual finetune`: a network that others have trained, made one for a folder of images.

mod watch;

use std::path::{Path, PathBuf};

use clap::Args;
use residual::arch::{TaskKind, published};
use residual::data::TaskScore;
use residual::report::number;
use residual::train::{FineTuning, HeadReport, Recipe, Tuned};
use residual::weights::Model;
use residual_files::escaped;

use self::watch::FeatureWatch;
use super::failure::{Failure, Outcome};
use super::progress::note;
use super::table::thousands;
use super::{interrupt, network, threads, train};

const EXAMPLE: &str = "\
Examples:
  residual finetune --from resnet18 --data photos
  residual finetune --from runs/first --data photos --out runs/mine
  residual finetune --from resnet20.th --data digits --epochs 20
  residual finetune --from resnet50.a1_in1k --data photos --head-only

A linear head is fitted on the features of the frozen network, which are computed
once; then the whole network is trained, with rates that fall from head to stem.
Where that judges no better on the validation images, the head alone is kept. The
recipe is chosen from the data and written to the run's recipe.toml; flags take
precedence. To go on after an interruption: residual train --resume DIR.";

/// Fine-tune a trained network on a folder or an archive of images.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
#[group(skip)]
pub(crate) struct Arguments {
    /// Weights to begin with: a checkpoint, the folder of a run (its best), bare weights (.safetensors, .pth, .th), or
    /// the name of published ones (`resnet50.a1_in1k`), downloaded where they are not there; auto for those of --model.
    #[arg(long, value_name = "FILE|RUN|NAME", conflicts_with = "resume")]
    from: Option<PathBuf>,
    /// Fit the head alone: the network in front of it stays as it is.
    #[arg(long, conflicts_with_all = ["resume", "epochs"])]
    head_only: bool,
    #[command(flatten)]
    train: train::Arguments,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let flags = &arguments.train;
    if flags.resume.is_some() {
        return train::run(flags);
    }
    if flags.init.is_some() {
        return Err(Failure::new("--init: a fine-tuning begins with --from; help: give --from alone"));
    }
    if flags.seeds.is_some() {
        return Err(Failure::new(
            "--seeds: a fine-tuning has one seed; help: fine-tune once for each --seed",
        ));
    }
    let Some(from) = &arguments.from else { return Err(nothing_at_hand(flags.model.as_deref())) };
    // Whatever is wrong with the flags is said before the weights are read.
    let given = flags.recipe()?;
    threads::limit(given.threads)?;
    let model = open(from, flags.model.as_deref())?;
    let out = flags.out.clone().unwrap_or_else(|| train::free_folder(&Recipe::from(model.spec().clone())));
    let tuning = chosen(arguments, model, given)?;
    tuning.recipe().validate()?;
    let stop = interrupt::listen()?;
    let features = FeatureWatch::default();
    let Some(Tuned { trainer, head, .. }) = tuning.observer(features).stop(stop).begin(out)? else {
        note("stopped before the first step: nothing was written");
        return Err(Failure::Interrupted);
    };
    report(&head);
    train::describe(&trainer, true);
    train::to_the_end(trainer, flags)
}

/// The fine-tuning with its recipe: what the rules choose or the file says, and the flags over it.
fn chosen(arguments: &Arguments, model: Model, given: Recipe) -> Outcome<FineTuning<'static>> {
    let flags = &arguments.train;
    let task = match given.task {
        TaskKind::SingleLabel => model.spec().task.kind(),
        given => given,
    };
    let tuning = FineTuning::for_task(model, &given.data, task)?;
    let mut recipe = match &flags.recipe {
        Some(_) => given.with(|recipe| (recipe.evaluate_first, recipe.task) = (true, task)),
        None => flags.over(tuning.recipe().clone())?,
    };
    if arguments.head_only {
        recipe.epochs = 0;
        recipe.unfreeze.clear();
    }
    explain(&tuning, &recipe);
    Ok(tuning.with(|chosen| *chosen = recipe))
}

/// Opens what `--from` names.
fn open(from: &Path, model: Option<&str>) -> Outcome<Model> {
    let name = from.to_str().filter(|_| !from.exists());
    match name.map(|name| (name, published::find(name))) {
        Some((_, Ok(checkpoint))) => network::open(Path::new(network::AUTO), Some(&checkpoint.name()), None),
        Some((name, Err(_))) if name != network::AUTO => Err(Failure::new(format_args!(
            "{}: no such file, and no published weights of that name; help: `residual get --list` names those that can be \
             had, such as `--from resnet18`",
            escaped(from)
        ))),
        _ => network::open(from, model, None),
    }
}

fn nothing_at_hand(model: Option<&str>) -> Failure {
    let name = model.and_then(|model| published::find(model).ok()).map(published::Published::name);
    let name = name.unwrap_or_else(|| "resnet18".to_owned());
    Failure::new(format_args!(
        "no checkpoint to begin with; help: --from FILE, or published weights: `residual get {name}` downloads them, and \
         `--from {name}` takes them"
    ))
}

/// Says in two lines what was chosen.
fn explain(tuning: &FineTuning, recipe: &Recipe) {
    let [images, side] = tuning.facts();
    let size = recipe.preprocess.as_ref().and_then(|preprocess| preprocess.crop);
    let brought = size.map_or(String::new(), |[height, width]| format!(", brought to {height}x{width}"));
    let norms = if recipe.freeze_statistics { "kept" } else { "renewed" };
    note(&format!(
        "{} images, {side} pixels{brought}; batch-norm statistics {norms}",
        thousands(images as u64)
    ));
    let decay =
        recipe.layer_decay.map_or(String::new(), |decay| format!(", times {decay} a block to the stem"));
    note(&match recipe.epochs {
        0 => "recipe: the head alone".to_owned(),
        epochs => format!(
            "recipe: head, then {epochs} epochs of {} at {}{decay}",
            recipe.optimiser.name(),
            train::rate(recipe.rate())
        ),
    });
}

/// Says how good the head alone is.
fn report(head: &HeadReport) {
    let percent = |share: f64| format!("{:.1}%", 100.0 * share);
    if let Some(pair) = head.mirrored {
        let flips = if head.flips { "flips" } else { "no flips" };
        let said = match head.score {
            None => {
                let [mirrored, plain] = pair.map(percent);
                format!("{mirrored} are recognised, of the others {plain}")
            }
            Some(score) => {
                let [mirrored, plain] = pair.map(|value| TaskScore { value, ..score });
                format!("{mirrored}, of the others {plain}")
            }
        };
        note(&format!("mirrored images: {said}: {flips}"));
    }
    let fitted = match head.strength {
        Some(strength) => format!("fitted on {} views an image, penalty {}", head.views, number(strength, 1)),
        None => "the checkpoint's own judges better".to_owned(),
    };
    let score = head.score.map_or_else(|| percent(head.top1), |score| score.to_string());
    note(&format!("head alone: {score}, loss {:.4} ({fitted})", head.loss));
}
