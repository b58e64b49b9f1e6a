//! Adam with decoupled weight decay.

use super::chunks;
use super::moments::bias_corrections;
use crate::layout::check_length;
use crate::memory::Parts;
use crate::simd::{Kernel, Simd};
use crate::{Cpu, Error};

/// Adam with decoupled weight decay (Loshchilov and Hutter 2019), PyTorch's formulas:
///
/// ```text
/// p = p (1 - lr weight_decay)
/// m = beta1 m + (1 - beta1) g,  v = beta2 v + (1 - beta2) g^2
/// p = p - lr / (1 - beta1^t) m / (sqrt(v / (1 - beta2^t)) + eps)
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamW {
    /// Learning rate.
    pub lr: f32,
    /// Parts of the first and the second moment that are kept.
    pub betas: [f32; 2],
    /// Added to the denominator.
    pub eps: f32,
    /// Part of the parameter that is taken away, times the learning rate.
    pub weight_decay: f32,
}

impl AdamW {
    /// Step `step`, counted from 1; both moments start as zeros.
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
        let correction = bias_corrections(self.betas, step)?;
        let scale = (f64::from(self.lr) / correction[0]) as f32;
        let root = (1.0 / correction[1].sqrt()) as f32;
        let len = parameter.len();
        let [p, m, v] = [parameter, first, second].map(Parts::new);
        chunks(cpu, len, |range| {
            // SAFETY: the chunks do not overlap.
            let [p, m, v] = [p, m, v].map(|all| unsafe { all.part(range.clone()) });
            cpu.isa().run(AdamChunk { by: *self, scale, root, p, g: &gradient[range], m, v });
        });
        Ok(())
    }
}

struct AdamChunk<'a> {
    by: AdamW,
    /// `lr / (1 - beta1^t)`
    scale: f32,
    /// `1 / sqrt(1 - beta2^t)`
    root: f32,
    p: &'a mut [f32],
    g: &'a [f32],
    m: &'a mut [f32],
    v: &'a mut [f32],
}

impl Kernel for AdamChunk<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let AdamW { lr, betas: [first, second], eps, weight_decay } = self.by;
        let keep = 1.0 - lr * weight_decay;
        let state = self.m.iter_mut().zip(self.v);
        for ((p, &g), (m, v)) in self.p.iter_mut().zip(self.g).zip(state) {
            *m = first * *m + (1.0 - first) * g;
            *v = second * *v + (1.0 - second) * g * g;
            *p = keep * *p - self.scale * *m / (v.sqrt() * self.root + eps);
        }
    }
}
