//! Images in, batches out: folders, archives, decoding, augmentation, all deterministic; and how well
//! answers fit the labels.

mod arrangement;
mod augment;
mod cifar;
mod data_source;
mod dataset;
mod decode;
mod error;
mod evaluate;
mod fit;
mod folder;
mod gzip;
mod hold_out;
mod image;
#[cfg(feature = "image")]
mod image_crate;
mod jpeg;
mod kind;
mod labelled_images;
mod layout;
mod links;
mod listing;
mod loader;
mod note;
mod numpy;
mod path;
mod pipeline;
mod png_rows;
mod preprocess;
mod random;
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
pub use data_source::DataSource;
pub use dataset::{Dataset, ImageSet, OpenOptions, Split};
pub use decode::{MAX_FILE_BYTES, MAX_PIXELS, decode};
pub use error::Error;
pub use evaluate::{EvaluateOptions, Evaluation, Judged, evaluate};
pub use fit::Fit;
pub use hold_out::HELD_OUT;
pub use image::Image;
pub use labelled_images::LabelledImages;
pub use listing::{is_hidden_name, is_image_name};
pub use loader::{Batch, Loader, LoaderOptions, steps_per_epoch};
pub use note::{Note, classes_summary};
pub use preprocess::Preprocessor;
pub use scores::score;
pub use source::Source;
pub use store::Stamp;
