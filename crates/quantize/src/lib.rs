//! Post-training quantisation: integer weights and the scales of the maps between them, from a trained network and a few
//! hundred images, labelled or not.
//!
//! Two thirds of the images are observed in float32 ([`Plan::observe`](residual_engine::Plan::observe)): the range of
//! every channel, its mean, and a histogram of every map. The other third decides: of the ways to choose a range
//! ([`RangeMethod`]), of fitted or whole filters, corrected or plain biases, equalised or plain channels ([`Settings`])
//! those are taken that change the logits least. Then each convolution is judged alone in 8 bits among others in
//! float32; one that alone changes the logits by more than [`Options::most_error`] stays in float32.
//!
//! ```no_run
//! use residual_quantize::{CalibrationImages, Options, quantise};
//! use residual_weights::Model;
//!
//! let model = Model::open("runs/first")?;
//! let mut images = CalibrationImages::new(model.network().input());
//! # let photographs: Vec<Vec<f32>> = Vec::new();
//! for values in &photographs {
//!     images.push(values)?;
//! }
//! let (model, report) = quantise(&model, &images, &Options::default(), &mut |_| {})?;
//! println!("{:.1}% of the answers stay", 100.0 * report.change.agreement.unwrap_or_default());
//! model.save("first.int8.safetensors")?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod assemble;
mod equalise;
mod error;
mod filters;
mod histogram;
mod images;
mod layers;
mod observe;
mod options;
mod quantise;
mod range;
mod report;
mod trial;

pub use error::Error;
pub use images::CalibrationImages;
pub use options::{Options, RangeMethod, Settings, WeightBits};
pub use quantise::{Progress, quantise};
pub use report::{LayerReport, Report, Tried};
pub use trial::Change;
