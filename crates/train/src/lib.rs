//! Training residual networks: recipe, schedule, loop, checkpoints, evaluation.
//!
//! - [`Recipe`] is a training as data; [`Schedule`], [`Warmup`] and [`SgdConfig`] are parts of it.
//! - [`Trainer`] begins and resumes trainings in a [`RunFolder`]; an [`Observer`] looks on.
//! - [`evaluate()`] judges a network; [`to_state_dict`] and [`from_state_dict`] give its tensors the names
//!   that files have.
//!
//! **Determinism.** The same recipe on the same data gives the same bits: for any number of threads, and
//! however often the training was interrupted and resumed. Everything random is keyed by seed, epoch or step,
//! and sample; sums have a fixed order.

mod batches;
mod changes;
mod error;
mod evaluate;
mod fit;
mod init;
mod inventory;
mod memory;
mod metrics;
mod observer;
mod plan;
mod progress;
mod recipe;
mod run;
mod schedule;
mod settle;
mod sgd;
mod statistics;
mod trainer;
mod transfer;

pub use changes::Changes;
pub use error::Error;
pub use evaluate::evaluate;
pub use init::ReplacedHead;
pub use memory::{require_memory_of_network, require_memory_to_train};
pub use metrics::{Metrics, read_metrics};
pub use observer::{Observer, Outcome, StepReport};
pub use progress::Best;
pub use recipe::{DataRecipe, Recipe};
pub use residual_data::{EvaluateOptions, Evaluation};
pub use run::RunFolder;
pub use schedule::{LearningRate, Schedule, Warmup};
pub use sgd::{Sgd, SgdConfig};
pub use trainer::Trainer;
pub use transfer::{from_model, to_model, to_state_dict};
