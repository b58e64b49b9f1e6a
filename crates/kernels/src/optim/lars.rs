//! Gradient descent, scaled by the size of each parameter.

use super::norm::sum_of_squares;
use super::{Sgd, chunks};
use crate::layout::check_length;
use crate::memory::Parts;
use crate::simd::{Kernel, Simd};
use crate::{Cpu, Error};

/// LARS (You, Gitman and Ginsburg 2017, algorithm 1) as timm has it: parameters that do not decay are not scaled, and the
/// learning rate is outside of the velocity.
///
/// ```text
/// trust = eta |p| / (|g| + weight_decay |p| + eps)    where weight_decay, |p| and |g| are above zero, else 1
/// v = momentum v + trust (g + weight_decay p)
/// p = p - lr v
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lars {
    /// Learning rate.
    pub lr: f32,
    /// Part of the velocity that is kept.
    pub momentum: f32,
    /// Trust coefficient `eta`: size of a step as a share of the parameter's, at a learning rate of 1.
    pub eta: f32,
    /// Added to the denominator.
    pub eps: f32,
    /// Factor of the parameter that is added to its gradient.
    pub weight_decay: f32,
}

impl Lars {
    /// Does a step; `velocity` starts as zeros. The norms are of the whole parameter, and the same for any number of
    /// threads.
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
        check_length("the velocity", parameter.len(), velocity.len())?;
        let Self { lr, momentum, weight_decay, .. } = *self;
        let trust = self.trust(cpu, parameter, gradient);
        if trust == 1.0 {
            return Sgd { lr, momentum, weight_decay, nesterov: false }
                .step(cpu, parameter, gradient, velocity);
        }
        let (len, parameter, velocity) = (parameter.len(), Parts::new(parameter), Parts::new(velocity));
        chunks(cpu, len, |range| {
            let g = &gradient[range.clone()];
            // SAFETY: the chunks do not overlap.
            let (p, v) = unsafe { (parameter.part(range.clone()), velocity.part(range)) };
            cpu.isa().run(Step { by: *self, trust, p, g, v });
        });
        Ok(())
    }

    /// Factor of the direction of a parameter.
    fn trust(&self, cpu: &Cpu, parameter: &[f32], gradient: &[f32]) -> f32 {
        if self.weight_decay == 0.0 {
            return 1.0;
        }
        let [p, g] = [parameter, gradient].map(|values| sum_of_squares(cpu, values).sqrt());
        let [eta, decay, eps] = [self.eta, self.weight_decay, self.eps].map(f64::from);
        if p > 0.0 && g > 0.0 { (eta * p / (g + decay * p + eps)) as f32 } else { 1.0 }
    }
}

struct Step<'a> {
    by: Lars,
    trust: f32,
    p: &'a mut [f32],
    g: &'a [f32],
    v: &'a mut [f32],
}

impl Kernel for Step<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let Lars { lr, momentum, weight_decay, .. } = self.by;
        for ((p, &g), v) in self.p.iter_mut().zip(self.g).zip(self.v) {
            *v = momentum * *v + self.trust * (g + weight_decay * *p);
            *p -= lr * *v;
        }
    }
}
