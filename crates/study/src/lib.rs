//! Experiments on why residual networks work, on any network and any data.
//!
//! - [`Depth`]: training and test error against depth, with and without shortcuts (He et al. 2015, figure 6).
//! - [`GradientFlow`]: the gradient at every block, by the path that it takes (He et al. 2016).
//! - [`Lesion`]: blocks left out and exchanged (Veit et al. 2016).
//! - [`Landscape`]: the loss on a plane through trained networks (Li et al. 2018).
//! - [`Bottleneck`]: basic against bottleneck blocks, counted and timed.
//!
//! A [`Study`] is one of them as data. It runs in a [`Folder`], which keeps `study.toml` (to repeat it),
//! `results.jsonl` (a line a finished cell, never written twice), `report.html` and the figures.

#![deny(missing_docs)]

mod bottleneck;
mod depth;
mod error;
mod fit;
mod folder;
mod gradflow;
mod held;
mod kept;
mod landscape;
mod lesion;
mod study;
mod subject;
mod twin;
mod watch;

pub use bottleneck::{Bottleneck, Measured};
pub use depth::{Cell, Depth, Point};
pub use error::Error;
pub use folder::Folder;
pub use gradflow::{BlockRow, Flow, GradientFlow};
pub use held::Judgement;
pub use landscape::{Landscape, Row};
pub use lesion::{Change, Lesion, Lesioned};
pub use study::{Outcome, Study, Summary};
pub use twin::{Kind, twin};
pub use watch::Watch;
