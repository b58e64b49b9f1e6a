//! Prediction with trained residual networks.
//!
//! A [`Classifier`] is a model compiled for this machine: it takes an image as a path, as the bytes of a file, as
//! pixels or as a tensor, brings it to what the network takes, and answers with classes, embeddings, feature maps or a
//! heat map. There is no tensor framework behind it.
//!
//! ```no_run
//! use residual_predict::Classifier;
//!
//! let classifier = Classifier::open("weights.safetensors")?;
//! let answer = classifier.classify("photo.jpg")?;
//! println!("{}", answer.best());
//! # Ok::<(), residual_predict::Error>(())
//! ```
//!
//! Many images go through together, in batches and decoded ahead of the network:
//!
//! ```no_run
//! # let classifier = residual_predict::Classifier::open("weights.safetensors")?;
//! for answer in classifier.classify_all(["a.jpg", "b.png"]) {
//!     match answer {
//!         Ok(answer) => println!("{}", answer.best()),
//!         Err(error) => eprintln!("{error}"),
//!     }
//! }
//! # Ok::<(), residual_predict::Error>(())
//! ```
//!
//! A classifier may be used from several threads at once: no lock is held while it computes. A call blocks for as long
//! as its answer takes; an async runtime gives it a thread for blocking work.

mod answers;
mod classifier;
#[cfg(feature = "serde")]
mod describe;
mod error;
mod explain;
mod input;
#[cfg(feature = "serde")]
mod line;
mod options;
mod places;
mod plans;
mod prediction;
mod prepared;

pub use answers::Answers;
pub use classifier::{Classifier, Embedding, FeatureMap};
#[cfg(feature = "serde")]
pub use describe::Description;
pub use error::Error;
pub use explain::{Explanation, HeatMap};
pub use input::{Input, SourceImage};
#[cfg(feature = "serde")]
pub use line::{AnswerLine, ScoreLine, ValueLine};
pub use options::Options;
pub use prediction::{ClassScore, Prediction, TargetValue};
pub use prepared::PreparedImage;
pub use residual_data::Image;
pub use residual_measure::softmax;
pub use residual_weights::{Architecture, Model};
