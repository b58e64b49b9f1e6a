//! Survey of a data set: every image is read once, and what it is and what is done to it is counted.

mod answered;
mod digest;
mod duplicates;
mod handling;
mod seen;
mod sizes;
mod take;

pub use answered::{LabelsPerImage, TargetSpread};
pub(crate) use digest::Digest;
pub use duplicates::{Duplicates, Equal, Group, Repeats};
pub use handling::Handling;
pub use sizes::{Aspect, Size, Sizes};
pub use take::{Broken, Place, Survey, SurveyOptions, Turned};
