//! Optimiser steps: passes over parameter, gradient and state.

mod adamw;
mod lamb;
mod lars;
mod lion;
mod moments;
mod norm;
mod rms_prop;
mod sgd;

use std::ops::Range;
use std::sync::OnceLock;

use crate::Cpu;

pub use adamw::AdamW;
pub use lamb::Lamb;
pub use lars::Lars;
pub use lion::Lion;
pub use norm::sum_of_squares;
pub use rms_prop::RmsProp;
pub use sgd::Sgd;

/// Elements of a task.
const CHUNK: usize = 16 << 10;

/// Calls `each` with the chunks of `len` elements, on all threads.
fn chunks(cpu: &Cpu, len: usize, each: impl Fn(Range<usize>) + Sync) {
    cpu.pool().for_each(len.div_ceil(CHUNK), |chunk, _| each(chunk * CHUNK..((chunk + 1) * CHUNK).min(len)));
}

/// Sums over the chunks of `len` elements of what `of` gives for each, added in their order: whichever thread did them.
fn sum_of_chunks<const N: usize>(
    cpu: &Cpu,
    len: usize,
    of: impl Fn(Range<usize>) -> [f64; N] + Sync,
) -> [f64; N] {
    let sums: Vec<OnceLock<[f64; N]>> = (0..len.div_ceil(CHUNK)).map(|_| OnceLock::new()).collect();
    chunks(cpu, len, |range| {
        sums[range.start / CHUNK].get_or_init(|| of(range));
    });
    let sums = sums.into_iter().filter_map(OnceLock::into_inner);
    sums.fold([0.0; N], |total, sum| std::array::from_fn(|at| total[at] + sum[at]))
}
