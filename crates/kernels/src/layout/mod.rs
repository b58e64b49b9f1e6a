//! How a batch of feature maps lies in memory, and the conversions between layouts.

mod convert;
mod maps;
mod normalise;
mod view;

pub use convert::convert;
pub use maps::Layout;
pub(crate) use maps::{Steps, check_length, workspace};
pub use normalise::normalise;
pub use view::{MapsMut, MapsRef};
