//! Fine-tuning: a network that others have trained, made one for other images.
//!
//! 1. [`rules`]: the recipe is chosen from the data and the network.
//! 2. [`features`]: the engine computes what the frozen trunk sees in each image, once.
//! 3. [`regression`]: a linear head is fitted on that, by [`minimise`], for its task ([`head_task`]).
//! 4. [`tuning`]: an ordinary training begins with that head, of which every part of the network takes part, and which
//!    keeps the head alone where that judges better.

mod features;
mod head_task;
mod minimise;
mod regression;
mod rules;
mod tuning;

pub use tuning::{FineTuning, HeadReport, Tuned};
