//! Adam's direction, scaled by the size of each parameter.

use super::moments::bias_corrections;
use super::{CHUNK, chunks, sum_of_chunks};
use crate::layout::check_length;
use crate::memory::Parts;
use crate::simd::{Kernel, Simd};
use crate::{Cpu, Error};

/// LAMB (You et al. 2020, algorithm 2) as timm has it: parameters that do not decay are not scaled either.
///
/// ```text
/// m = beta1 m + (1 - beta1) g,  v = beta2 v + (1 - beta2) g^2
/// u = m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + eps) + weight_decay p
/// p = p - lr u |p| / |u|    where weight_decay, |p| and |u| are above zero, else p - lr u
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lamb {
    /// Learning rate.
    pub lr: f32,
    /// Parts of the first and the second moment that are kept.
    pub betas: [f32; 2],
    /// Added to the denominator.
    pub eps: f32,
    /// Factor of the parameter that is added to its direction.
    pub weight_decay: f32,
}

impl Lamb {
    /// Step `step`, counted from 1; both moments start as zeros. The norms are of the whole parameter, and the same for
    /// any number of threads.
    ///
    /// # Errors
    /// [`Error::Length`] where the slices are not equally long, [`Error::Shape`] for step 0.
    pub fn step(
        &self,
        cpu: &Cpu,
        step: u64,
        parameter: &mut [f32],
        gradient: &[f32],
        [first, second]: [&mut [f32]; 2],
    ) -> Result<(), Error> {
        check_length("the gradient", parameter.len(), gradient.len())?;
        check_length("the first moment", parameter.len(), first.len())?;
        check_length("the second moment", parameter.len(), second.len())?;
        let [mean, square] = bias_corrections(self.betas, step)?;
        let direction =
            Direction { by: *self, scale: (1.0 / mean) as f32, root: (1.0 / square.sqrt()) as f32 };
        let len = parameter.len();
        let [p, m, v] = [parameter, first, second].map(Parts::new);
        let [of_parameter, of_direction] = sum_of_chunks(cpu, len, |range| {
            // SAFETY: the chunks do not overlap.
            let [p, m, v] = [p, m, v].map(|all| unsafe { all.part(range.clone()) });
            cpu.isa().run(Moments { direction, p, g: &gradient[range], m, v })
        });
        let scaled = self.weight_decay != 0.0 && of_parameter > 0.0 && of_direction > 0.0;
        let trust = if scaled { (of_parameter / of_direction).sqrt() as f32 } else { 1.0 };
        chunks(cpu, len, |range| {
            // SAFETY: the chunks do not overlap.
            let [p, m, v] = [p, m, v].map(|all| unsafe { all.part(range.clone()) });
            cpu.isa().run(Step { direction, rate: self.lr * trust, p, m, v });
        });
        Ok(())
    }
}

/// The direction of a step, from the moments.
#[derive(Clone, Copy)]
struct Direction {
    by: Lamb,
    /// `1 / (1 - beta1^t)`
    scale: f32,
    /// `1 / sqrt(1 - beta2^t)`
    root: f32,
}

impl Direction {
    #[inline(always)]
    fn of(self, p: f32, m: f32, v: f32) -> f32 {
        self.scale * m / (v.sqrt() * self.root + self.by.eps) + self.by.weight_decay * p
    }
}

/// New moments, and the sums of the squares of parameter and direction.
struct Moments<'a> {
    direction: Direction,
    p: &'a [f32],
    g: &'a [f32],
    m: &'a mut [f32],
    v: &'a mut [f32],
}

/// Partial sums that are gathered side by side: an order that no instruction set changes.
const LANES: usize = 16;

/// Elements whose squares are added in f32: so few that nothing is lost that matters.
const BLOCK: usize = 64 * LANES;

impl Kernel for Moments<'_> {
    type Output = [f64; 2];

    #[inline(always)]
    fn run<S: Simd>(self, _: S) -> [f64; 2] {
        let [first, second] = self.direction.by.betas;
        let mut sums = [[0.0f32; LANES]; 2];
        let mut total = [0.0f64; 2];
        for start in (0..self.p.len()).step_by(BLOCK) {
            let end = (start + BLOCK).min(self.p.len());
            let state = self.m[start..end].iter_mut().zip(&mut self.v[start..end]);
            let values = self.p[start..end].iter().zip(&self.g[start..end]);
            for (at, ((&p, &g), (m, v))) in values.zip(state).enumerate() {
                *m = first * *m + (1.0 - first) * g;
                *v = second * *v + (1.0 - second) * g * g;
                let u = self.direction.of(p, *m, *v);
                sums[0][at % LANES] += p * p;
                sums[1][at % LANES] += u * u;
            }
            for (total, sums) in total.iter_mut().zip(&mut sums) {
                *total += sums.iter().map(|&sum| f64::from(sum)).sum::<f64>();
                sums.fill(0.0);
            }
        }
        total
    }
}

struct Step<'a> {
    direction: Direction,
    rate: f32,
    p: &'a mut [f32],
    m: &'a [f32],
    v: &'a [f32],
}

impl Kernel for Step<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        for ((p, &m), &v) in self.p.iter_mut().zip(self.m).zip(self.v) {
            *p -= self.rate * self.direction.of(*p, m, v);
        }
    }
}

const _: () = assert!(CHUNK.is_multiple_of(LANES));
