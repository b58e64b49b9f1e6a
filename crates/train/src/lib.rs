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

mod average;
mod batches;
mod changes;
mod curves;
mod dropping;
mod ended;
mod engine_plan;
mod error;
mod evaluate;
mod finetune;
mod fit;
mod given;
mod gradient_norms;
mod images;
mod init;
mod inventory;
mod learning_rate;
mod memory;
mod metrics;
mod monitor;
mod observer;
mod optimiser;
mod plateau;
mod prepare;
mod progress;
mod range_test;
mod recipe;
mod recipes;
mod report;
mod resizing;
mod run_folder;
mod runs;
mod sam;
mod schedule;
mod seed_runs;
mod session;
mod settle;
mod statistics;
mod targets;
mod task_loss;
mod task_recipe;
mod teacher;
mod tensorboard;
mod trainer;
mod training;
mod transfer;
mod unfreeze;
mod update;
mod whiten;

pub use average::Ema;
pub use changes::Changes;
pub use error::Error;
pub use evaluate::{evaluate, evaluate_task};
pub use finetune::{FineTuning, HeadReport, Tuned};
pub use init::ReplacedHead;
pub use learning_rate::LearningRate;
pub use memory::{require_memory_of_network, require_memory_to_train};
pub use metrics::{Metrics, read_metrics};
pub use monitor::{EarlyStop, Monitor};
pub use observer::{Observer, Outcome, StepReport};
pub use optimiser::{At, Clip, Optimiser, OptimiserConfig, PlaceRates, Rule};
pub use progress::Best;
pub use range_test::{Range, RangePoint, RangeTest};
pub use recipe::{DataRecipe, Recipe};
pub use recipes::{NamedRecipe, Origin};
pub use residual_data::{EvaluateOptions, Evaluation, Metric, TaskEvaluation, TaskNumbers, TaskScore};
pub use resizing::{LinearResizing, Resizing, SizedEpochs};
pub use run_folder::RunFolder;
pub use runs::{RunState, RunSummary};
pub use sam::Sam;
pub use schedule::{Schedule, Warmup};
pub use seed_runs::{SeedResult, SeedRuns, SeedSummary};
pub use task_recipe::{Balanced, ClassWeights, LossRecipe, Sampling, Teacher};
pub use tensorboard::TensorBoard;
pub use trainer::Trainer;
pub use training::Training;
pub use transfer::{from_model, to_model, to_state_dict};
pub use unfreeze::Unfreeze;
