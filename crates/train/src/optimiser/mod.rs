//! Optimisers: rules by which weights follow their gradients.

mod clip;
mod config;
mod file;
mod gathered;
mod state;

pub use clip::Clip;
pub(crate) use config::UsualRate;
pub use config::{OptimiserConfig, Rule};
pub use state::{At, Optimiser};
