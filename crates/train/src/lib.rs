//! Training residual networks: recipe, schedule, loop, checkpoints, evaluation.
//!
//! - [`Recipe`] is a training as data; [`Schedule`], [`Warmup`] and [`OptimiserConfig`] are parts of it.
//! - [`Training`] begins and resumes a [`Trainer`] in a [`RunFolder`]; an [`Observer`] looks on, and can stop it.
//! - [`evaluate()`] judges a network; [`to_model`], [`from_model`] and [`to_state_dict`] lead to and from
//!   models and the names that files have.
//!
//! **Determinism.** The same recipe on the same data gives the same bits: for any number of threads, and
//! however often the training was interrupted and resumed. Everything random is keyed by seed, epoch or step,
//! and sample; sums have a fixed order.

mod data;
mod error;
mod evaluation;
mod finetune;
mod losses;
mod optimiser;
mod ranks;
mod recipes;
mod reports;
mod run;
mod schedules;
mod train_loop;

pub use data::resizing::{LinearResizing, Resizing, SizedEpochs};
pub use error::Error;
pub use evaluation::evaluate::{evaluate, evaluate_task};
pub use finetune::{FineTuning, HeadReport, Tuned};
pub use optimiser::average::Ema;
pub use optimiser::sam::Sam;
pub use optimiser::{At, Clip, Optimiser, OptimiserConfig, PlaceRates, Rule};
pub use recipes::named::{NamedRecipe, Origin};
pub use recipes::recipe::{DataRecipe, Recipe};
pub use recipes::shards::BatchNormOver;
pub use recipes::task_recipe::{Balanced, ClassWeights, LossRecipe, Sampling, Teacher};
pub use reports::tensorboard::TensorBoard;
pub use residual_data::{EvaluateOptions, Evaluation, Metric, TaskEvaluation, TaskNumbers, TaskScore};
pub use run::changes::Changes;
pub use run::metrics::{Metrics, read_metrics};
pub use run::progress::Best;
pub use run::run_folder::RunFolder;
pub use run::runs::{RunState, RunSummary};
pub use run::seed_runs::{SeedResult, SeedRuns, SeedSummary};
pub use schedules::learning_rate::LearningRate;
pub use schedules::monitor::{EarlyStop, Monitor};
pub use schedules::range_test::{Range, RangePoint, RangeTest};
pub use schedules::schedule::{Schedule, Warmup};
pub use schedules::unfreeze::Unfreeze;
pub use train_loop::init::ReplacedHead;
pub use train_loop::memory::{require_memory_of_network, require_memory_to_train};
pub use train_loop::observer::{Observer, Outcome, StepReport};
pub use train_loop::trainer::Trainer;
pub use train_loop::training::Training;
pub use train_loop::transfer::{from_model, to_model, to_state_dict};
