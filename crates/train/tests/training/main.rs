//! Whole trainings of a toy network.

mod bad_input;
mod bad_resume;
mod determinism;
mod learning;
mod optimisers;
mod program;
mod rates;
mod toy;
