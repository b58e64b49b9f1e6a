//! Stochastic gradient descent with momentum, by PyTorch's rule.

use std::collections::BTreeMap;

use burn::tensor::Gradients;
use residual_arch::Role;
use residual_kernels::Cpu;
use residual_nn::ResNet;
use residual_weights::StateDict;
use serde::{Deserialize, Serialize};

use crate::Error;

/// Constants of [`Sgd`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct SgdConfig {
    /// Momentum `mu`, in `[0, 1)`. Default 0.9.
    pub momentum: f64,
    /// Nesterov's momentum in place of the plain one; needs `momentum` above zero. Default true.
    pub nesterov: bool,
    /// Weight decay `lambda` (L2 penalty `lambda/2 |p|^2`). Default 5e-4.
    pub weight_decay: f64,
    /// Decay of batch norms' parameters and biases too. Default false (He et al. 2019, section 3.1);
    /// `torch.optim.SGD` over all parameters is true.
    pub decay_norm_and_bias: bool,
}

impl Default for SgdConfig {
    fn default() -> Self {
        Self { momentum: 0.9, nesterov: true, weight_decay: 5e-4, decay_norm_and_bias: false }
    }
}

impl SgdConfig {
    /// Changes fields.
    ///
    /// ```
    /// use residual_train::SgdConfig;
    /// let plain = SgdConfig::default().with(|sgd| sgd.nesterov = false);
    /// assert_eq!((plain.momentum, plain.nesterov), (0.9, false));
    /// ```
    pub fn with<R>(mut self, change: impl FnOnce(&mut Self) -> R) -> Self {
        change(&mut self);
        self
    }

    /// Checks the constants.
    ///
    /// # Errors
    /// [`Error::Momentum`], [`Error::NesterovWithoutMomentum`], [`Error::OutOfRange`] for the weight decay.
    pub fn validate(&self) -> Result<(), Error> {
        if !(0.0..1.0).contains(&self.momentum) {
            return Err(Error::Momentum { found: self.momentum });
        }
        if self.nesterov && self.momentum == 0.0 {
            return Err(Error::NesterovWithoutMomentum);
        }
        let decay = self.weight_decay;
        if !(decay.is_finite() && decay >= 0.0) {
            return Err(Error::OutOfRange {
                field: "optimiser.weight_decay",
                found: decay,
                expected: "zero or more",
            });
        }
        Ok(())
    }
}

/// SGD as `torch.optim.SGD` with dampening 0 computes it. For a parameter `p` with gradient `g`, velocity
/// `v` (zero at first) and learning rate `lr`:
///
/// ```text
/// g <- g + lambda p
/// v <- mu v + g
/// p <- p - lr (g + mu v)    Nesterov
/// p <- p - lr v             otherwise
/// ```
///
/// The velocity is scaled by the learning rate when it is used, not when it is gathered, so that it means
/// the same while the rate moves.
///
/// ```
/// use residual_arch::Role;
/// use residual_train::{Sgd, SgdConfig};
///
/// let config = SgdConfig::default().with(|sgd| (sgd.weight_decay, sgd.nesterov) = (0.0, false));
/// let mut sgd = Sgd::new(config);
/// let mut weight = [1.0];
/// sgd.update("head.linear.weight", Role::LinearWeight, &mut weight, &[0.5], 1.0);
/// assert_eq!(weight, [0.5]);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Sgd {
    config: SgdConfig,
    velocity: BTreeMap<String, Vec<f32>>,
}

/// A parameter and the gradient with respect to it.
struct OneParameter<'a> {
    path: &'a str,
    role: Role,
    values: &'a mut [f32],
    gradient: &'a [f32],
}

impl Sgd {
    /// Optimiser at rest.
    pub fn new(config: SgdConfig) -> Self {
        Self { config, velocity: BTreeMap::new() }
    }

    /// Updates every parameter of a network that has a gradient by one step.
    pub fn step(&mut self, network: &mut ResNet, gradients: Gradients, lr: f64) {
        let context = network.context().clone();
        network.update_in_place(gradients, |parameter, values, gradient| {
            let of = OneParameter { path: &parameter.path, role: parameter.role, values, gradient };
            self.update_on(context.cpu(), of, lr);
        });
    }

    /// Updates one parameter by one step, in place, on the calling thread. `path` is its name, by which its velocity is
    /// kept; `role` says whether it decays.
    ///
    /// # Panics
    /// Where `gradient`, or the velocity kept under `path`, has another length than `parameter`: the caller
    /// has mixed up two parameters.
    pub fn update(&mut self, path: &str, role: Role, parameter: &mut [f32], gradient: &[f32], lr: f64) {
        let cpu = Cpu::new(1).unwrap_or_else(|error| panic!("{path}: {error}"));
        self.update_on(&cpu, OneParameter { path, role, values: parameter, gradient }, lr);
    }

    fn update_on(&mut self, cpu: &Cpu, of: OneParameter<'_>, lr: f64) {
        let OneParameter { path, role, values: parameter, gradient } = of;
        let decays = self.config.decay_norm_and_bias || role.decays();
        let decay = if decays { self.config.weight_decay as f32 } else { 0.0 };
        let rule = residual_kernels::optim::Sgd {
            lr: lr as f32,
            momentum: self.config.momentum as f32,
            weight_decay: decay,
            nesterov: self.config.nesterov,
        };
        let mut none = Vec::new();
        if self.config.momentum != 0.0 && !self.velocity.contains_key(path) {
            self.velocity.insert(path.to_owned(), vec![0.0; parameter.len()]);
        }
        let velocity = self.velocity.get_mut(path).unwrap_or(&mut none);
        rule.step(cpu, parameter, gradient, velocity)
            .unwrap_or_else(|error| panic!("{path}: one gradient and one velocity a parameter: {error}"));
    }

    /// Velocities by the parameters' names, each as a vector; bit for bit.
    ///
    /// # Errors
    /// [`Error::Weights`] for a name that no tensor may have.
    pub fn state(&self) -> Result<StateDict, Error> {
        let tensors = self.velocity.iter().map(|(path, velocity)| {
            let tensor = residual_weights::Tensor::new(vec![velocity.len()], velocity.clone())?;
            Ok((path.clone(), tensor))
        });
        Ok(StateDict::from_tensors(tensors.collect::<Result<Vec<_>, Error>>()?)?)
    }

    /// Replaces the velocities by those that [`Sgd::state`] gave.
    pub fn load(&mut self, state: StateDict) {
        self.velocity = state.into_tensors().map(|(path, tensor)| (path, tensor.into_parts().1)).collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: SgdConfig =
        SgdConfig { momentum: 0.9, nesterov: false, weight_decay: 0.1, decay_norm_and_bias: false };

    /// Two steps from `p = 1` with gradients 0.5 and -0.25 at rates 0.1 and 0.2.
    fn two_steps(config: SgdConfig, role: Role) -> f32 {
        let mut sgd = Sgd::new(config);
        let mut p = [1.0];
        sgd.update("p", role, &mut p, &[0.5], 0.1);
        sgd.update("p", role, &mut p, &[-0.25], 0.2);
        p[0]
    }

    fn close(found: f32, expected: f32) {
        assert!((found - expected).abs() < 1e-6, "{found} instead of {expected}");
    }

    #[test]
    fn momentum_and_weight_decay_by_hand() {
        // g = 0.5 + 0.1 = 0.6, v = 0.6, p = 1 - 0.06 = 0.94;
        // g = -0.25 + 0.094 = -0.156, v = 0.54 - 0.156 = 0.384, p = 0.94 - 0.0768 = 0.8632
        close(two_steps(PLAIN, Role::ConvWeight), 0.8632);
    }

    #[test]
    fn nesterov_by_hand() {
        // g = 0.6, v = 0.6, p = 1 - 0.1 (0.6 + 0.54) = 0.886;
        // g = -0.25 + 0.0886 = -0.1614, v = 0.54 - 0.1614 = 0.3786,
        // p = 0.886 - 0.2 (-0.1614 + 0.34074) = 0.850132
        close(two_steps(SgdConfig { nesterov: true, ..PLAIN }, Role::ConvWeight), 0.850132);
    }

    #[test]
    fn norms_and_biases_decay_only_when_asked() {
        // v = 0.5, p = 0.95; v = 0.45 - 0.25 = 0.2, p = 0.95 - 0.04 = 0.91
        for role in [Role::NormWeight, Role::NormBias, Role::LinearBias] {
            close(two_steps(PLAIN, role), 0.91);
            close(two_steps(SgdConfig { decay_norm_and_bias: true, ..PLAIN }, role), 0.8632);
        }
    }

    #[test]
    fn without_momentum_nothing_is_kept() {
        let config = SgdConfig { momentum: 0.0, weight_decay: 0.0, ..PLAIN };
        // 1 - 0.05 = 0.95; 0.95 + 0.05 = 1
        close(two_steps(config, Role::ConvWeight), 1.0);
        let mut sgd = Sgd::new(config);
        sgd.update("p", Role::ConvWeight, &mut [1.0], &[0.5], 0.1);
        assert!(sgd.state().unwrap().is_empty());
    }

    #[test]
    fn a_restored_state_continues_to_the_same_bits() {
        let gradient = |t: i32| [0.1 + 0.3 * (t as f32).sin(), -0.7 * (t as f32).cos()];
        let mut whole = Sgd::new(SgdConfig::default());
        let mut p = [0.3, -1.7];
        let mut resumed = Sgd::new(SgdConfig::default());
        let mut q = p;
        for t in 0..20 {
            whole.update("w", Role::ConvWeight, &mut p, &gradient(t), 0.05);
            resumed.update("w", Role::ConvWeight, &mut q, &gradient(t), 0.05);
            let mut next = Sgd::new(SgdConfig::default());
            next.load(resumed.state().unwrap());
            resumed = next;
        }
        assert_eq!(p.map(f32::to_bits), q.map(f32::to_bits));
        assert_eq!(whole, resumed);
    }

    #[test]
    fn wrong_constants_are_refused() {
        for momentum in [-0.1, 1.0, f64::NAN] {
            let error = SgdConfig { momentum, ..PLAIN }.validate().unwrap_err();
            assert!(matches!(error, Error::Momentum { .. }), "{error}");
        }
        let error = SgdConfig { momentum: 0.0, nesterov: true, ..PLAIN }.validate().unwrap_err();
        assert!(matches!(error, Error::NesterovWithoutMomentum), "{error}");
        let error = SgdConfig { weight_decay: -1e-4, ..PLAIN }.validate().unwrap_err();
        assert!(matches!(error, Error::OutOfRange { .. }), "{error}");
        assert!(SgdConfig::default().validate().is_ok());
    }
}
