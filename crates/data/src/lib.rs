//! Images in, batches out: folders, archives, decoding, augmentation, all deterministic; and how well
//! answers fit the labels.

mod arrangement;
mod augment;
mod cifar;
mod dataset;
mod decode;
mod error;
mod evaluate;
mod fit;
mod folder;
mod gzip;
mod image;
mod jpeg;
mod layout;
mod links;
mod listing;
mod loader;
mod note;
mod numpy;
mod path;
mod pipeline;
mod preprocess;
pub mod random;
mod resize;
mod sample;
mod scores;
mod source;
mod split_name;
mod store;
mod tar_walk;
mod tarball;
mod zipped;

pub use augment::{Augment, augment};
pub use dataset::{Dataset, ImageSet, OpenOptions, Split};
pub use decode::{MAX_FILE_BYTES, MAX_PIXELS, decode};
pub use error::Error;
pub use evaluate::{EvaluateOptions, Evaluation, Judged, evaluate};
pub use fit::Fit;
pub use image::Image;
pub use listing::{is_hidden_name, is_image_name};
pub use loader::{Batch, Loader, LoaderOptions, steps_per_epoch};
pub use note::{Note, classes_summary};
pub use preprocess::Preprocessor;
pub use scores::score;
pub use source::DataSource;
pub use store::Stamp;
