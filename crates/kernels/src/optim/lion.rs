//! Sign of an interpolated momentum.

use super::chunks;
use crate::layout::check_length;
use crate::memory::Parts;
use crate::simd::{Kernel, Simd};
use crate::{Cpu, Error};

/// Lion (Chen et al. 2023, algorithm 2), with decoupled weight decay:
///
/// ```text
/// p = p (1 - lr weight_decay) - lr sign(beta1 m + (1 - beta1) g)
/// m = beta2 m + (1 - beta2) g
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lion {
    /// Learning rate.
    pub lr: f32,
    /// Part of the momentum in the step, and the part that is kept.
    pub betas: [f32; 2],
    /// Part of the parameter that is taken away, times the learning rate.
    pub weight_decay: f32,
}

impl Lion {
    /// Does a step; the momentum starts as zeros.
    ///
    /// # Errors
    /// [`Error::Length`] where the slices are not equally long.
    pub fn step(
        &self,
        cpu: &Cpu,
        parameter: &mut [f32],
        gradient: &[f32],
        momentum: &mut [f32],
    ) -> Result<(), Error> {
        check_length("the gradient", parameter.len(), gradient.len())?;
        check_length("the momentum", parameter.len(), momentum.len())?;
        let len = parameter.len();
        let [p, m] = [parameter, momentum].map(Parts::new);
        chunks(cpu, len, |range| {
            // SAFETY: the chunks do not overlap.
            let [p, m] = [p, m].map(|all| unsafe { all.part(range.clone()) });
            cpu.isa().run(LionChunk { by: *self, p, g: &gradient[range], m });
        });
        Ok(())
    }
}

struct LionChunk<'a> {
    by: Lion,
    p: &'a mut [f32],
    g: &'a [f32],
    m: &'a mut [f32],
}

impl Kernel for LionChunk<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let Lion { lr, betas: [step, kept], weight_decay } = self.by;
        let keep = 1.0 - lr * weight_decay;
        for ((p, &g), m) in self.p.iter_mut().zip(self.g).zip(self.m) {
            let direction = step * *m + (1.0 - step) * g;
            // The sign of zero is zero.
            let sign = f32::from(direction > 0.0) - f32::from(direction < 0.0);
            *p = keep * *p - lr * sign;
            *m = kept * *m + (1.0 - kept) * g;
        }
    }
}
