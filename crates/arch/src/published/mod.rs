//! Published checkpoints of residual networks: where they lie, how good they are, what their authors did to an image.
//!
//! The tables are torchvision's and timm's own descriptions of their weights. A checkpoint is named as its library
//! names it, `resnet50:IMAGENET1K_V2` (torchvision) or `resnet50.a1_in1k` (timm); a bare `resnet50` stands for the
//! library's default, and `timm_resnet50` for timm's.
//!
//! ```
//! use residual_arch::published::{View, find};
//! use residual_arch::{Interpolation, Resize};
//!
//! let checkpoint = find("resnet50.a1_in1k")?;
//! let preprocess = checkpoint.preprocess(View::Usual);
//! assert_eq!((preprocess.resize, preprocess.crop), (Some(Resize::ShorterSide(235)), Some([224, 224])));
//! assert_eq!(preprocess.interpolation, Interpolation::Bicubic);
//! assert_eq!(find("resnet50")?.name(), "resnet50:IMAGENET1K_V2");
//! # Ok::<(), residual_arch::families::UnknownModel>(())
//! ```

mod checkpoint;
mod classes;
mod find;
mod table;

pub use checkpoint::{Accuracy, CropMode, Library, Published, View};
pub use classes::{CIFAR10, CIFAR100, class_names, imagenet, imagenet_synsets};
pub use find::find;
pub(crate) use find::{lookup, split};
pub use table::all;
