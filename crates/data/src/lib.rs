//! Images in, batches out: folders, archives, decoding, augmentation, all deterministic; and how well
//! answers fit the labels.

mod answers;
mod arrangement;
mod arrays;
mod augment;
mod bad_image;
mod balanced;
mod bmp;
mod cache;
mod cifar;
mod classes;
mod data_source;
mod dataset;
mod decode;
mod error;
mod evaluate;
mod exif;
mod fault;
mod file_names;
mod fit;
mod folder;
mod format;
mod gif;
mod gzip;
mod hold_out;
mod image;
#[cfg(feature = "image")]
mod image_crate;
mod jpeg;
mod kind;
mod labelled_beside;
mod labelled_images;
mod layout;
mod limits;
mod links;
mod listing;
mod lists;
mod loader;
mod mix;
mod note;
mod npy;
mod npy_header;
mod numpy;
mod open;
mod open_options;
mod operation;
mod orientation;
mod overlap;
mod packed;
mod part;
mod path;
mod pipeline;
mod png_rows;
mod preprocess;
mod random;
mod records;
mod remarks;
mod resize;
mod sample;
mod shard_range;
mod shards;
mod shared_file;
mod source;
mod split;
mod split_name;
mod stages;
mod stamp;
mod store;
mod survey;
mod table;
mod tar_walk;
mod tarball;
mod task_evaluation;
mod tiff;
mod unlike;
mod vectors;
mod webdataset;
mod webp;
mod zipped;

pub use augment::{
    AugMix, Augment, Augmenter, AutoAugment, AutoAugmentPolicy, ColorJitter, EraseValue, Fill, GaussianBlur,
    NamedFill, Noise, RandAugment, RandomAffine, RandomErasing, RandomResizedCrop, RandomRotation, SampleKey,
    Spread, ThreeAugment, TrivialAugmentWide,
};
pub use bad_image::BadImage;
pub use cache::{CacheLimit, CachePlan, ImageCache};
pub use data_source::DataSource;
pub use dataset::{Dataset, ImageSet};
pub use decode::{decode, decode_part, recorded_orientation};
pub use error::Error;
pub use evaluate::{AnsweredBatch, EvaluateOptions, Evaluation, Judged, Watch, evaluate};
pub use fit::Fit;
pub use format::Format;
pub use hold_out::HELD_OUT;
pub use image::Image;
pub use labelled_images::LabelledImages;
pub use limits::{MAX_FILE_BYTES, MAX_PIXELS};
pub use listing::{is_hidden_name, is_image_name};
pub use lists::Columns;
pub use loader::{Batch, Loader, LoaderOptions, steps_per_epoch};
pub use mix::{Mix, MixMode, Partner};
pub use note::{Note, classes_summary, targets_summary};
pub use open_options::OpenOptions;
pub use operation::{Affine, Chain, Erasure, Operation, Sampling};
pub use orientation::Orientation;
pub use overlap::{MOST_COMPARED, Overlap, overlap};
pub use part::{ChoosePart, Part};
pub use pipeline::{Pipeline, PipelineOptions};
pub use preprocess::Preprocessor;
pub use residual_measure::score;
pub use shard_range::ShardRange;
pub use source::Source;
pub use split::Split;
pub use stages::StageTimes;
pub use stamp::Stamp;
pub use survey::{
    Aspect, Broken, Duplicates, Equal, Group, Handling, LabelsPerImage, Place, Repeats, Size, Sizes, Survey,
    SurveyOptions, TargetSpread, Turned,
};
pub use table::VectorTable;
pub use task_evaluation::{
    LabelNumbers, Metric, TaskEvaluation, TaskNumbers, TaskOutputs, TaskScore, sigmoid,
};
