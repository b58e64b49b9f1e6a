//! Counter-based random numbers: every draw is a function of a [`Key`] and of its place, never of the draws before
//! it. Nothing is carried from one sample or step to the next, so results do not depend on threads, on order, or on
//! where a run was interrupted.
//!
//! There is one generator, SplitMix64 (Steele, Lea and Flood 2014) in counter mode: draw `i` of key `k` is
//! `mix(k + (i + 1) GAMMA)`. Runs are resumed by later builds, so the numbers of a key never change.

mod distributions;
mod key;
mod stream;

pub use key::Key;
pub use stream::Random;
