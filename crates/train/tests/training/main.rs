//! Whole trainings of a toy network.

mod accumulation;
mod bad_input;
mod bad_resume;
mod determinism;
mod dropping;
mod early;
mod learning;
mod not_finite;
mod optimisers;
mod program;
mod rates;
mod recipes;
mod report;
mod resizing;
mod sam;
mod seeds;
mod shards;
mod tasks;
mod toy;
mod unfreezing;
mod whiten;
