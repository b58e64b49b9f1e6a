//! Stochastic gradient descent.

use super::chunks;
use crate::layout::check_length;
use crate::memory::Parts;
use crate::simd::{Kernel, Simd};
use crate::{Cpu, Error};

/// Stochastic gradient descent with momentum, PyTorch's formulas with no dampening:
///
/// ```text
/// g = gradient + weight_decay p
/// v = momentum v + g
/// p = p - lr (g + momentum v  with Nesterov, else v)
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sgd {
    /// Learning rate.
    pub lr: f32,
    /// Part of the velocity that is kept.
    pub momentum: f32,
    /// Factor of the parameter that is added to its gradient.
    pub weight_decay: f32,
    /// Nesterov's look-ahead of the velocity.
    pub nesterov: bool,
}

impl Sgd {
    /// Does a step; `velocity` starts as zeros. Without momentum it may be empty: there is none to keep.
    ///
    /// # Errors
    /// [`Error::Length`] where the slices are not equally long.
    pub fn step(
        &self,
        cpu: &Cpu,
        parameter: &mut [f32],
        gradient: &[f32],
        velocity: &mut [f32],
    ) -> Result<(), Error> {
        check_length("the gradient", parameter.len(), gradient.len())?;
        let kept = self.momentum != 0.0 || !velocity.is_empty();
        if kept {
            check_length("the velocity", parameter.len(), velocity.len())?;
        }
        let (len, parameter, velocity) = (parameter.len(), Parts::new(parameter), Parts::new(velocity));
        chunks(cpu, len, |range| {
            let (of_velocity, g) = (if kept { range.clone() } else { 0..0 }, &gradient[range.clone()]);
            // SAFETY: the chunks do not overlap.
            let (p, v) = unsafe { (parameter.part(range), velocity.part(of_velocity)) };
            cpu.isa().run(SgdChunk { by: *self, p, g, v });
        });
        Ok(())
    }
}

struct SgdChunk<'a> {
    by: Sgd,
    p: &'a mut [f32],
    g: &'a [f32],
    v: &'a mut [f32],
}

impl Kernel for SgdChunk<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let Sgd { lr, momentum, weight_decay, nesterov } = self.by;
        if self.v.is_empty() {
            self.p.iter_mut().zip(self.g).for_each(|(p, &g)| *p -= lr * (g + weight_decay * *p));
            return;
        }
        for ((p, &g), v) in self.p.iter_mut().zip(self.g).zip(self.v) {
            let g = g + weight_decay * *p;
            *v = momentum * *v + g;
            let step = if nesterov { g + momentum * *v } else { *v };
            *p -= lr * step;
        }
    }
}
