//! Images in, batches out: folders, archives, decoding, augmentation, all deterministic; and how well
//! answers fit the labels.

mod augment;
mod cifar;
mod dataset;
mod decode;
mod error;
mod evaluate;
mod folder;
mod image;
mod jpeg;
mod kind;
mod layout;
mod listing;
mod loader;
mod pickle;
mod pipeline;
mod png_rows;
mod preprocess;
pub mod random;
mod resize;
mod sample;
mod scores;
mod source;
mod store;
mod tarball;
mod zipped;

pub use augment::{Augment, augment};
pub use dataset::{Dataset, ImageSet, OpenOptions, Split};
pub use decode::{MAX_FILE_BYTES, MAX_PIXELS, decode};
pub use error::Error;
pub use evaluate::{EvaluateOptions, Evaluation, Judged, evaluate};
pub use image::Image;
pub use loader::{Batch, Loader, LoaderOptions, steps_per_epoch};
pub use preprocess::Preprocessor;
pub use scores::score;
pub use source::DataSource;
