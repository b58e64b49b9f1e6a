//! Gradient over the root of its mean square.

use super::chunks;
use crate::layout::check_length;
use crate::memory::Parts;
use crate::simd::{Kernel, Simd};
use crate::{Cpu, Error};

/// RMSProp as TensorFlow has it, and timm's `RMSpropTF`: `eps` inside the root, the rate inside the momentum, and a mean
/// square that starts as ones.
///
/// ```text
/// g = gradient + weight_decay p
/// s = s + (1 - alpha) (g^2 - s)
/// v = momentum v + lr g / sqrt(s + eps)
/// p = p - v
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RmsProp {
    /// Learning rate.
    pub lr: f32,
    /// Part of the mean square that is kept.
    pub alpha: f32,
    /// Part of the velocity that is kept.
    pub momentum: f32,
    /// Added to the mean square.
    pub eps: f32,
    /// Factor of the parameter that is added to its gradient.
    pub weight_decay: f32,
}

impl RmsProp {
    /// Does a step; the mean square starts as ones, the velocity as zeros.
    ///
    /// # Errors
    /// [`Error::Length`] where the slices are not equally long.
    pub fn step(
        &self,
        cpu: &Cpu,
        parameter: &mut [f32],
        gradient: &[f32],
        [square, velocity]: [&mut [f32]; 2],
    ) -> Result<(), Error> {
        check_length("the gradient", parameter.len(), gradient.len())?;
        check_length("the mean square", parameter.len(), square.len())?;
        check_length("the velocity", parameter.len(), velocity.len())?;
        let len = parameter.len();
        let [p, s, v] = [parameter, square, velocity].map(Parts::new);
        chunks(cpu, len, |range| {
            // SAFETY: the chunks do not overlap.
            let [p, s, v] = [p, s, v].map(|all| unsafe { all.part(range.clone()) });
            cpu.isa().run(RmsChunk { by: *self, p, g: &gradient[range], s, v });
        });
        Ok(())
    }
}

struct RmsChunk<'a> {
    by: RmsProp,
    p: &'a mut [f32],
    g: &'a [f32],
    s: &'a mut [f32],
    v: &'a mut [f32],
}

impl Kernel for RmsChunk<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let RmsProp { lr, alpha, momentum, eps, weight_decay } = self.by;
        let state = self.s.iter_mut().zip(self.v);
        for ((p, &g), (s, v)) in self.p.iter_mut().zip(self.g).zip(state) {
            let g = g + weight_decay * *p;
            *s += (1.0 - alpha) * (g * g - *s);
            *v = momentum * *v + lr * g / (*s + eps).sqrt();
            *p -= *v;
        }
    }
}
