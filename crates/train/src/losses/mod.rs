//! What the outputs of a batch are held against: targets, losses, a teacher.

pub(crate) mod targets;
pub(crate) mod task_loss;
pub(crate) mod teacher;
