//! Evaluation of a classifier on labelled images: its [`Answers`], what they are worth ([`Measured`]), and a page that
//! shows it ([`sections`]).
//!
//! ```no_run
//! use std::sync::Arc;
//! use residual_data::{Dataset, Split};
//! use residual_evaluation::{Options, answer};
//! use residual_predict::Classifier;
//!
//! let classifier = Classifier::open("runs/first")?;
//! let images = Arc::new(Dataset::sample()?.split(Split::Test)?);
//! if let Some(answers) = answer(&classifier, images, &Options::default(), &mut ())? {
//!     let measured = answers.measure();
//!     println!("{:.1}%, calibration error {:.3}", 100.0 * measured.evaluation.top1(), measured.ece);
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![deny(missing_docs)]

mod answers;
mod calibrate;
mod error;
mod judge;
mod machine;
mod measured;
mod page;
mod pictures;
mod task;
mod views;

pub use answers::{Answer, Answers};
pub use calibrate::{Calibrated, calibrate, calibrate_labels};
pub use error::Error;
pub use judge::{Options, answer, answer_task};
pub use machine::machine;
pub use measured::{ClassMeasured, ConfusedClasses, Measured, Share};
pub use page::sections;
pub use pictures::{Shown, pictures};
pub use residual_data::Watch;
pub use task::{
    LabelMeasured, TargetMeasured, TaskAnswers, TaskMeasured, TaskMeasures, task_pictures, task_sections,
};
pub use views::Views;
