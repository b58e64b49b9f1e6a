//! What a person looks at: the report, its curves, TensorBoard's events.

pub(crate) mod curves;
pub(crate) mod report;
pub(crate) mod tensorboard;
