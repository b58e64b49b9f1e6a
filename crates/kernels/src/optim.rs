//! Optimiser steps: one pass over parameter, gradient and state.

use crate::layout::check_length;
use crate::memory::Parts;
use crate::simd::{Kernel, Simd};
use crate::{Cpu, Error};

/// Elements of a task.
const CHUNK: usize = 16 << 10;

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
        if step == 0 {
            return Err(Error::Shape { what: "AdamW".into(), reason: "steps are counted from 1".into() });
        }
        check_length("the gradient", parameter.len(), gradient.len())?;
        check_length("the first moment", parameter.len(), first.len())?;
        check_length("the second moment", parameter.len(), second.len())?;
        let correction = self.betas.map(|beta| 1.0 - f64::from(beta).powf(step as f64));
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

/// Calls `each` with the chunks of `len` elements, on all threads.
fn chunks(cpu: &Cpu, len: usize, each: impl Fn(std::ops::Range<usize>) + Sync) {
    cpu.pool().for_each(len.div_ceil(CHUNK), |chunk, _| each(chunk * CHUNK..((chunk + 1) * CHUNK).min(len)));
}
