//! The rate that all kernels are measured against.

use crate::Cpu;
use crate::simd::{Kernel, Simd};

/// Multiply-adds on registers alone, on every thread of `cpu`; returns how many operations (a multiply
/// and an add are two) that was. Timed, it gives the peak that a kernel's rate is a part of.
///
/// Every accumulator takes part `rounds` times.
pub fn multiply_add_flat_out(cpu: &Cpu, rounds: usize) -> f64 {
    let threads = cpu.pool().threads();
    cpu.pool().for_each(threads, |_, _| {
        std::hint::black_box(cpu.isa().run(FlatOut { rounds: std::hint::black_box(rounds) }));
    });
    2.0 * (threads * rounds) as f64 * cpu.isa().run(Width) as f64
}

/// Independent accumulators: enough to hide the latency, few enough to stay in registers.
const fn accumulators<S: Simd>() -> usize {
    if S::LANES == 8 { 12 } else { 24 }
}

struct FlatOut {
    rounds: usize,
}

impl Kernel for FlatOut {
    type Output = f32;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> f32 {
        // Different and unknown at compile time, or the accumulators would be found to be one.
        let mut sums = [s.zero(); 24];
        for (i, sum) in sums.iter_mut().enumerate() {
            *sum = s.splat(std::hint::black_box(i as f32));
        }
        let (factor, summand) = (s.splat(0.999), s.splat(1e-3));
        for _ in 0..self.rounds {
            for sum in &mut sums[..const { accumulators::<S>() }] {
                *sum = s.fma(*sum, factor, summand);
            }
        }
        let mut last = [0.0; 16];
        let mut total = 0.0;
        for sum in sums {
            // SAFETY: a vector has at most 16 lanes.
            unsafe { s.store(last.as_mut_ptr(), sum) };
            total += last[0];
        }
        total
    }
}

/// Lanes of all accumulators.
struct Width;

impl Kernel for Width {
    type Output = usize;

    fn run<S: Simd>(self, _: S) -> usize {
        accumulators::<S>() * S::LANES
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Isa;

    #[test]
    fn operations_grow_with_rounds_and_threads() {
        for isa in Isa::available() {
            let of = |threads, rounds| multiply_add_flat_out(&Cpu::with_isa(isa, threads).unwrap(), rounds);
            assert!(of(1, 1) > 0.0);
            assert_eq!(of(2, 50), 100.0 * of(1, 1));
        }
    }
}
