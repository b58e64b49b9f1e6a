//! Experiments on why residual networks work, on any network and any data.
//!
//! - [`Depth`]: training and test error against depth, with and without shortcuts (He et al. 2015, figure 6).
//! - [`GradientFlow`]: the gradient at every block, by the path that it takes (He et al. 2016).
//!
//! A [`Study`] is one of them as data. It runs in a [`Folder`], which keeps `study.toml` (to repeat it),
//! `results.jsonl` (a line a finished cell, never written twice), `report.html` and the figures.

#![deny(missing_docs)]

mod depth;
mod error;
mod fit;
mod folder;
mod gradflow;
mod study;
mod subject;
mod twin;
mod watch;

pub use depth::{Cell, Depth, Point};
pub use error::Error;
pub use folder::Folder;
pub use gradflow::{BlockRow, Flow, GradientFlow};
pub use study::{Outcome, Study, Summary};
pub use twin::{Kind, twin};
pub use watch::Watch;
