//! The flags of `residual train`, and the recipe that they make.

use std::path::PathBuf;

use clap::Args;
use residual::arch::NetSpec;
use residual::data::{CacheLimit, Fit};
use residual::nn::fused::Memory;
use residual::train::{Clip, Ema, Error, OptimiserConfig, Recipe, Rule, Schedule, Warmup};

use super::augment::AugmentArguments;
use super::freeze_arguments::FreezeArguments;
use super::loop_arguments::LoopArguments;
use super::task_arguments::TaskArguments;
use crate::cli::compute;
use crate::cli::failure::Outcome;
use crate::cli::lists::ListArguments;
use crate::cli::{network, recipes, threads};

const EXAMPLE: &str = "\
Examples:
  residual train --model small --data sample --epochs 5 --out runs/first
  residual train --resume runs/first
  residual train --model cifar_resnet20 --data photos --init weights.th \\
                 --freeze stem,stage1

A run is a folder: recipe.toml (repeat it with --recipe), metrics.jsonl,
last.safetensors (--resume goes on from it), best.safetensors (for predict).
Ctrl-C finishes the step and saves; a second Ctrl-C quits at once.";

/// Train a network on a folder or an archive of images.
///
/// What flags leave open comes from --recipe, and else from defaults.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Arguments {
    /// A family member (see `residual models`), or a network written out in a SPEC.toml. [default: small]
    #[arg(long, value_name = "MODEL|SPEC.toml")]
    pub(in crate::cli) model: Option<String>,
    /// `sample` (the embedded images), or a folder, archive, list, .parquet or shards ({000..010}.tar) of images. [default: sample]
    #[arg(long, value_name = "sample|PATH")]
    pub(super) data: Option<PathBuf>,
    #[command(flatten)]
    list: ListArguments,
    /// A recipe by its name (see `residual recipes`), or a file, such as another run's recipe.toml; flags take precedence
    /// over it.
    #[arg(long, value_name = "NAME|FILE.toml")]
    pub(in crate::cli) recipe: Option<PathBuf>,
    /// The run's folder; must not hold a run yet. [default: runs/MODEL-N]
    #[arg(long, value_name = "DIR")]
    pub(in crate::cli) out: Option<PathBuf>,
    /// Go on with the interrupted run in this folder, to the same bits as if it had never stopped. --data says where
    /// its images are now, --epochs makes it longer where the rates of the schedule do not depend on their number.
    #[arg(long, value_name = "DIR", conflicts_with_all = NOT_WITH_RESUME)]
    pub(in crate::cli) resume: Option<PathBuf>,
    /// Weights to begin with, in place of random ones; auto for the published ones of --model, downloaded.
    #[arg(long, value_name = "WEIGHTS|auto")]
    pub(in crate::cli) init: Option<PathBuf>,
    #[command(flatten)]
    freeze: FreezeArguments,
    /// Passes over the training images. [default: 20]
    #[arg(long, value_name = "N")]
    pub(super) epochs: Option<usize>,
    /// Images in a step. [default: 64, 32, 16 or 8, so that an epoch has twenty steps]
    #[arg(long, value_name = "N")]
    batch_size: Option<usize>,
    /// Learning rate: the greatest of the schedule. [default: 0.05 for 64 images in a step, in proportion for
    /// fewer; a tenth of it with --init]
    #[arg(long, value_name = "RATE", allow_negative_numbers = true)]
    lr: Option<f64>,
    /// Schedule of the learning rate: constant, cosine, polynomial, step, plateau or
    /// one-cycle. [default: one-cycle]
    #[arg(long, value_name = "NAME")]
    schedule: Option<String>,
    /// Epochs of linear warm-up before the schedule. [default: 0]
    #[arg(long, value_name = "EPOCHS", allow_negative_numbers = true)]
    warmup: Option<f64>,
    /// Optimiser: sgd, adamw, lamb, lars, rms_prop or lion, with its usual constants. [default: sgd]
    #[arg(long, value_name = "NAME")]
    optimiser: Option<String>,
    /// Scale gradients down to this norm where theirs is greater. [default: no limit]
    #[arg(long, value_name = "NORM", allow_negative_numbers = true)]
    clip_norm: Option<f64>,
    /// Average the weights with this decay, such as 0.999, and keep the best average. [default: no average]
    #[arg(long, value_name = "DECAY", allow_negative_numbers = true)]
    ema: Option<f64>,
    /// Momentum of SGD, LARS and RMSProp. [default: 0.9]
    #[arg(long, value_name = "M", allow_negative_numbers = true)]
    momentum: Option<f64>,
    /// Plain momentum in place of Nesterov's.
    #[arg(long)]
    no_nesterov: bool,
    /// Weight decay. [default: 0.0005 with SGD; of the others, see docs/training.md]
    #[arg(long, value_name = "W", allow_negative_numbers = true)]
    weight_decay: Option<f64>,
    /// Let batch norms and biases decay too.
    #[arg(long)]
    decay_all: bool,
    /// Label smoothing, from 0 to 1. [default: 0]
    #[arg(long, value_name = "S", allow_negative_numbers = true)]
    label_smoothing: Option<f64>,
    #[command(flatten)]
    steps: LoopArguments,
    #[command(flatten)]
    task: TaskArguments,
    #[command(flatten)]
    augment: AugmentArguments,
    /// Fraction to hold out of data without a val or test folder. [default: 0.1]
    #[arg(long, value_name = "FRACTION", allow_negative_numbers = true)]
    validation: Option<f64>,
    /// Count and leave out images that cannot be decoded; goes with --resume.
    #[arg(long)]
    pub(super) skip_bad: bool,
    /// Memory for decoded images, which are kept from one epoch to the next: auto (all, where they fit in a quarter of
    /// the free memory), off, or a size such as 2GB; goes with --resume. Does not change the result. [default: auto]
    #[arg(long, value_name = "auto|off|SIZE")]
    pub(super) cache: Option<CacheLimit>,
    /// Seed of everything random. [default: 0]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Train once with each of these seeds, in the folders seed-N of --out, and give mean and deviation. What is
    /// finished is not trained again.
    #[arg(long, value_name = "N,...", value_delimiter = ',', conflicts_with_all = ["seed", "resume"])]
    pub(in crate::cli) seeds: Option<Vec<u64>>,
    /// Seconds that a process of several waits for another before it ends them all; goes with --resume. [default: 600]
    #[arg(long, value_name = "SECONDS")]
    pub(super) rank_timeout: Option<u64>,
    /// Threads for computing; goes with --resume. Does not change the result. [default: one a core]
    #[arg(long, value_name = "N", value_parser = threads::parse)]
    pub(super) threads: Option<usize>,
    /// `low` computes what is inside a block again in the backward pass, so that networks of any depth fit;
    /// goes with --resume. Does not change the result. [default: keep]
    #[arg(long, value_parser = compute::memory())]
    pub(super) memory: Option<Memory>,
    /// Write TensorBoard event files, into the run's folder or into DIR; goes with --resume.
    #[arg(long, value_name = "DIR", num_args = 0..=1)]
    pub(super) tensorboard: Option<Option<PathBuf>>,
    /// Save every N steps as well as after every epoch.
    #[arg(long, value_name = "N")]
    checkpoint_every: Option<u64>,
}

/// A resumed run has its recipe already. Threads may differ: they do not change the result.
const NOT_WITH_RESUME: [&str; 27] = [
    "model",
    "recipe",
    "out",
    "init",
    "batch_size",
    "lr",
    "schedule",
    "warmup",
    "optimiser",
    "clip_norm",
    "ema",
    "momentum",
    "no_nesterov",
    "weight_decay",
    "decay_all",
    "label_smoothing",
    "validation",
    "columns",
    "label",
    "root",
    "seed",
    "checkpoint_every",
    "augment",
    "no_augment",
    "augment_repeats",
    "mixup",
    "cutmix",
];

/// Overwrites `field` where a flag was given.
fn set<T>(field: &mut T, flag: Option<T>) {
    if let Some(value) = flag {
        *field = value;
    }
}

impl Arguments {
    /// The recipe of the file, or the default one, with the flags put over it.
    pub(in crate::cli) fn recipe(&self) -> Outcome<Recipe> {
        self.over(match &self.recipe {
            Some(given) => recipes::given(given)?,
            None => Recipe::default(),
        })
    }

    /// A recipe with the flags put over it.
    pub(in crate::cli) fn over(&self, mut recipe: Recipe) -> Outcome<Recipe> {
        if let Some(model) = &self.model {
            (recipe.model, recipe.network) = match network::written_out(model)? {
                Some(spec) => {
                    // A policy that is written out is kept; a new training would choose its own.
                    if NetSpec::orientation_in(model)?.is_some() {
                        recipe.preprocess.get_or_insert_with(|| Fit::preprocess(&spec));
                    }
                    (None, Some(spec))
                }
                None => (Some(model.clone()), None),
            };
        }
        if let Some(memory) = self.memory {
            recipe.low_memory = memory == Memory::Low;
        }
        self.put_data(&mut recipe);
        self.task.put_into(&mut recipe)?;
        self.augment.put_into(&mut recipe)?;
        self.steps.put_into(&mut recipe);
        self.put_training(&mut recipe)?;
        Ok(recipe)
    }

    fn put_data(&self, recipe: &mut Recipe) {
        set(&mut recipe.data.path, self.data.clone());
        set(&mut recipe.data.validation, self.validation);
        self.list.put_into(&mut recipe.data.columns, &mut recipe.data.root);
        recipe.data.skip_bad |= self.skip_bad;
        set(&mut recipe.data.cache, self.cache);
    }

    fn put_training(&self, recipe: &mut Recipe) -> Outcome {
        set(&mut recipe.epochs, self.epochs);
        recipe.batch_size = self.batch_size.or(recipe.batch_size);
        recipe.lr = self.lr.or(recipe.lr);
        set(&mut recipe.warmup, self.warmup.map(Warmup::Epochs));
        set(&mut recipe.label_smoothing, self.label_smoothing);
        set(&mut recipe.seed, self.seed);
        self.freeze.put_into(recipe);
        if let Some(path) = &self.init {
            recipe.init = Some(network::not_auto(path, recipe.model.as_deref())?);
        }
        recipe.threads = self.threads.or(recipe.threads);
        recipe.checkpoint_every_steps = self.checkpoint_every.or(recipe.checkpoint_every_steps);
        if let Some(name) = &self.schedule {
            recipe.schedule = name.parse::<Schedule>()?;
        }
        recipe.ema = self.ema.map(Ema::new).or(recipe.ema);
        recipe.clip = self.clip_norm.map(Clip::Norm).or(recipe.clip);
        self.put_optimiser(&mut recipe.optimiser)
    }

    fn put_optimiser(&self, optimiser: &mut OptimiserConfig) -> Outcome {
        if let Some(given) = self.optimiser.as_deref().map(str::parse::<OptimiserConfig>).transpose()?
            && given.name() != optimiser.name()
        {
            *optimiser = given;
        }
        set(&mut optimiser.weight_decay, self.weight_decay);
        optimiser.decay_norm_and_bias |= self.decay_all;
        let name = optimiser.name();
        let none = |field| Err(Error::OptimiserField { field, optimiser: name }.into());
        match &mut optimiser.rule {
            Rule::Sgd { momentum, nesterov } => {
                set(momentum, self.momentum);
                // Without momentum there is nothing for Nesterov's rule to look ahead along.
                *nesterov &= !self.no_nesterov && self.momentum != Some(0.0);
            }
            _ if self.no_nesterov => return none("nesterov"),
            Rule::RmsProp { momentum, .. } | Rule::Lars { momentum, .. } => set(momentum, self.momentum),
            _ if self.momentum.is_some() => return none("momentum"),
            _ => {}
        }
        Ok(())
    }
}
