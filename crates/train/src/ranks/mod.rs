//! Ranks that train together: what they agree on, and the steps that they share.

pub(crate) mod agreement;
pub(crate) mod evaluation;
pub(crate) mod reports;
pub(crate) mod shard_gradients;
pub(crate) mod step;
