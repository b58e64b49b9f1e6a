//! Training residual networks: recipe, schedule, loop, checkpoints, evaluation.

mod error;
mod metrics;
mod observer;
mod progress;
mod recipe;
mod run;
mod schedule;
mod settle;
mod sgd;

pub use error::Error;
pub use metrics::{Metrics, read_metrics};
pub use observer::{Observer, Outcome, StepReport};
pub use progress::Best;
pub use recipe::{DataRecipe, Recipe};
pub use run::RunFolder;
pub use schedule::{LearningRate, Schedule, Warmup};
pub use sgd::{Sgd, SgdConfig};
