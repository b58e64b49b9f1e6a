//! Looks for the common errors in residual networks, their weights, their data and their training, and says
//! how to mend each.
//!
//! [`examine`] takes what there is, a [`Patient`], and gives a [`Report`]: [`Finding`]s as data. Each check is
//! a small function of its own:
//!
//! | module | looks at |
//! | --- | --- |
//! | `shape`, `structure`, `preprocess`, `training` | the specification and the recipe; no tensor |
//! | `weights` | the tensors of a file |
//! | `images`, with `labels`, `overlap`, `turned` | all images, as a survey counts them |
//! | `pixels` | some images, as the network sees them |
//! | `network` | one batch through the network, forward and backward |
//!
//! `docs/doctor.md` lists the checks with their thresholds and sources. A threshold lies well outside what the
//! published networks show: a false alarm costs more trust than a missed fault.
//!
//! ```
//! use residual_arch::{Shortcut, families::family};
//! use residual_doctor::{Kind, Patient, examine};
//!
//! let mut spec = family("small")?;
//! assert!(examine(&Patient::new(spec.clone()))?.findings.is_empty());
//!
//! spec.stages[1].blocks[0].shortcut = Shortcut::projection(64, 1);
//! let report = examine(&Patient::new(spec))?;
//! assert_eq!(report.findings[0].kind, Kind::ForgottenStride);
//! assert_eq!(report.findings[0].help, "give the projection stride 2");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![recursion_limit = "256"]

mod error;
mod examine;
mod finding;
mod images;
mod labels;
mod network;
mod overlap;
mod pixels;
mod preprocess;
mod read;
mod shape;
mod structure;
mod trainable;
mod training;
mod turned;
mod weights;

pub use error::Error;
pub use examine::{Patient, Report, examine};
pub use finding::{Finding, Kind, Severity};
pub use images::examine_images;
pub use network::gradients::{BlockSignal, Signals, signals};
pub use read::{differences, read_toml};
pub use training::Training;
