//! The rate that all kernels are measured against.

use crate::Cpu;
use crate::simd::{BLOCK, Kernel, Simd};

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

/// Operands that the loop goes through; they stay in the level 1 cache.
const OPERANDS: usize = 8;

/// Floats of the operands of a round: an input for each row, and the weights of two channel blocks.
const ROW: usize = 3 * BLOCK;

/// Rows of accumulators: those of the micro-kernel, but no more than hide the latency, so that no compiler
/// is tempted to keep one in memory (24 accumulators or more halved the peak of an AVX-512 machine).
const fn rows<S: Simd>() -> usize {
    if S::TILE_ROWS > 8 { 8 } else { S::TILE_ROWS }
}

struct FlatOut {
    rounds: usize,
}

impl Kernel for FlatOut {
    type Output = f32;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> f32 {
        let operands = std::hint::black_box([1e-3; OPERANDS * ROW]);
        macro_rules! by_tile {
            ($(($rows:literal, $vectors:literal))*) => {
                match (rows::<S>(), S::TILE_BLOCKS * BLOCK / S::LANES) {
                    $(($rows, $vectors) if const { rows::<S>() == $rows } =>
                        products::<S, $rows, $vectors>(s, self.rounds, &operands),)*
                    _ => unreachable!("the instruction sets' tiles are listed"),
                }
            };
        }
        by_tile!((8, 2)(6, 2)(6, 4)(5, 2)(2, 2))
    }
}

/// The micro-kernel's products, each multiply-add with another pair of
/// operands, all of them at hand.
#[inline(always)]
#[expect(clippy::needless_range_loop, reason = "constant bounds and indices keep the arrays in registers")]
fn products<S: Simd, const MR: usize, const NV: usize>(
    s: S,
    rounds: usize,
    operands: &[f32; OPERANDS * ROW],
) -> f32 {
    let mut sums = [[s.zero(); NV]; MR];
    for round in 0..rounds {
        let operands = &operands[round % OPERANDS * ROW..][..ROW];
        let mut w = [s.zero(); NV];
        for v in 0..NV {
            w[v] = s.read(operands, BLOCK + v * S::LANES);
        }
        for r in 0..MR {
            let x = s.splat(operands[r]);
            for v in 0..NV {
                sums[r][v] = s.fma(x, w[v], sums[r][v]);
            }
        }
    }
    let (mut last, mut total) = ([0.0; BLOCK], 0.0);
    for sum in sums.as_flattened() {
        // SAFETY: a vector has at most `BLOCK` lanes.
        unsafe { s.store(last.as_mut_ptr(), *sum) };
        total += last[0];
    }
    total
}

/// Lanes of all accumulators.
struct Width;

impl Kernel for Width {
    type Output = usize;

    fn run<S: Simd>(self, _: S) -> usize {
        rows::<S>() * S::TILE_BLOCKS * BLOCK
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
