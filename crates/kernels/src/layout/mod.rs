//! How a batch of feature maps lies in memory, and the conversions between layouts.

mod convert;
mod maps;
mod normalise;

pub use convert::convert;
pub use maps::Layout;
pub(crate) use maps::{Steps, check_length, workspace};
pub use normalise::normalise;
