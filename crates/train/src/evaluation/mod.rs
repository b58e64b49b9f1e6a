//! Evaluation of a network in training.

pub(crate) mod engine_plan;
pub(crate) mod evaluate;
