//! What changes while a training goes on: rates, thawing, early stopping; and the range test of rates.

pub(crate) mod learning_rate;
pub(crate) mod monitor;
pub(crate) mod plateau;
pub(crate) mod range_test;
pub(crate) mod schedule;
pub(crate) mod unfreeze;
