//! Optimisers: rules by which weights follow their gradients.

pub(crate) mod average;
mod clip;
mod config;
mod file;
mod gathered;
pub(crate) mod gradient_norms;
mod place_rates;
pub(crate) mod sam;
mod state;

pub use clip::Clip;
pub(crate) use config::UsualRate;
pub use config::{OptimiserConfig, Rule};
pub(crate) use gathered::Gathered;
pub use place_rates::PlaceRates;
pub use state::{At, Optimiser};
