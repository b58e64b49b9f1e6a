//! Size of a gradient.

use super::sum_of_chunks;
use crate::Cpu;
use crate::simd::{Kernel, Simd};

/// Sum of the squares of `values`, in f64. The same for any number of threads and any instruction set.
pub fn sum_of_squares(cpu: &Cpu, values: &[f32]) -> f64 {
    let [sum] = sum_of_chunks(cpu, values.len(), |range| [cpu.isa().run(Squares(&values[range]))]);
    sum
}

struct Squares<'a>(&'a [f32]);

/// Partial sums that are gathered side by side: an order that no instruction set changes.
const LANES: usize = 8;

impl Kernel for Squares<'_> {
    type Output = f64;

    #[inline(always)]
    fn run<S: Simd>(self, _: S) -> f64 {
        let mut sums = [0.0f64; LANES];
        let (whole, rest) = self.0.as_chunks::<LANES>();
        for values in whole {
            for (sum, &value) in sums.iter_mut().zip(values) {
                *sum += f64::from(value) * f64::from(value);
            }
        }
        let rest: f64 = rest.iter().map(|&value| f64::from(value) * f64::from(value)).sum();
        sums.iter().sum::<f64>() + rest
    }
}
