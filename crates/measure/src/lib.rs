//! Numbers about answers: how good they are, how far they can be believed, and how sure one can be of either. Pure
//! functions over slices, in f64 and in a fixed order. What scikit-learn has as well is equal to it to 1e-9
//! (`tests/scikit_learn.rs`), on degenerate inputs too: a class without examples, one class alone, ties.
//!
//! | of | what |
//! | --- | --- |
//! | one label an image | [`score`], [`Confusion`], [`Counts`] a class and their [`average`] |
//! | several labels an image | [`average_precision`], [`mean_average_precision`], [`Counts::at`], [`best_threshold`] |
//! | numbers | [`Errors`], a target, and their [`mean`](Errors::mean) |
//! | probabilities | [`softmax`], [`Calibration`], [`brier`], [`fit_temperature`] |
//! | any of them | [`wilson`] and [`bootstrap`] intervals |
//!
//! ```
//! use residual_measure::{Confusion, wilson};
//!
//! let mut confusion = Confusion::new(2);
//! for (label, answer) in [(0, 0), (0, 1), (1, 1), (1, 1)] {
//!     confusion.add(label, answer);
//! }
//! assert_eq!(confusion.accuracy(), 0.75);
//! assert_eq!(confusion.counts(0).recall(), 0.5);
//! let interval = wilson(3, 4);
//! assert!(interval.low < 0.75 && 0.75 < interval.high);
//! ```

#![deny(missing_docs)]

mod calibration;
mod confusion;
mod counts;
mod interval;
mod ranking;
mod regression;
mod scores;
mod temperature;

pub use calibration::{Bin, Calibration, brier};
pub use confusion::{Confused, Confusion};
pub use counts::{Average, Counts, Scores, average};
pub use interval::{Interval, bootstrap, wilson};
pub use ranking::{Ranking, Threshold, average_precision, best_threshold, mean_average_precision};
pub use regression::Errors;
pub use scores::{score, softmax};
pub use temperature::{COLDEST, HOTTEST, Temperature, fit_temperature, negative_log_likelihood};
