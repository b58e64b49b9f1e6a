//! Decoded images kept in memory between epochs: [`limit`] says how many, [`plan`] decides for the images at hand, and
//! [`kept`] holds them.

mod kept;
mod limit;
mod plan;

pub use kept::ImageCache;
pub(crate) use kept::Preparation;
pub use limit::CacheLimit;
pub use plan::CachePlan;
