//! What a person looks at: the report, its curves, TensorBoard's events.

pub(crate) mod curves;
mod event;
pub(crate) mod report;
pub(crate) mod tensorboard;
