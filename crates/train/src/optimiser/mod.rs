//! Optimisers: rules by which weights follow their gradients.

mod clip;
mod config;
mod file;
mod gathered;
mod place_rates;
mod state;

pub use clip::Clip;
pub(crate) use config::UsualRate;
pub use config::{OptimiserConfig, Rule};
pub(crate) use gathered::Gathered;
pub use place_rates::PlaceRates;
pub use state::{At, Optimiser};
