//! State of an optimiser, and its step.

use std::collections::BTreeMap;

use burn::tensor::Gradients;
use residual_arch::Role;
use residual_kernels::{Cpu, Error as KernelError, optim};
use residual_nn::{Parameter, ResNet};
use residual_weights::StateDict;

use super::gathered::Gathered;
use super::{Clip, OptimiserConfig, PlaceRates, Rule};
use crate::Error;
use crate::schedules::unfreeze::StillSteps;

/// Optimiser with its state: moments and velocities by the parameters' paths.
///
/// ```
/// use residual_arch::Role;
/// use residual_train::{At, Optimiser, OptimiserConfig, Rule};
///
/// let config = OptimiserConfig::sgd().with(|sgd| {
///     (sgd.weight_decay, sgd.rule) = (0.0, Rule::Sgd { momentum: 0.9, nesterov: false });
/// });
/// let mut sgd = Optimiser::new(config);
/// let mut weight = [1.0];
/// sgd.update("head.linear.weight", Role::LinearWeight, &mut weight, &[0.5], At { lr: 1.0, step: 1 });
/// assert_eq!(weight, [0.5]);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Optimiser {
    config: OptimiserConfig,
    clip: Option<Clip>,
    rates: PlaceRates,
    /// Steps before parts that are thawed take part.
    still: StillSteps,
    /// The rule's vectors of each parameter.
    state: BTreeMap<String, Vec<Vec<f32>>>,
}

/// Place of a step in a training.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct At {
    /// Learning rate.
    pub lr: f64,
    /// Number of the step, from 1: what bias corrections count by.
    pub step: u64,
}

/// A parameter and the gradient with respect to it.
struct OneParameter<'a> {
    path: &'a str,
    role: Role,
    values: &'a mut [f32],
    gradient: &'a [f32],
}

impl<'a> OneParameter<'a> {
    fn of(parameter: &'a Parameter, values: &'a mut [f32], gradient: &'a [f32]) -> Self {
        Self { path: &parameter.path, role: parameter.role, values, gradient }
    }
}

/// Vector that a rule keeps for each parameter: the prefix of its name in a checkpoint, and the value of its elements
/// before the first step.
struct Slot {
    prefix: &'static str,
    first: f32,
}

const VELOCITY: Slot = Slot { prefix: "", first: 0.0 };
const FIRST_MOMENT: Slot = Slot { prefix: "first_moment.", first: 0.0 };
const SECOND_MOMENT: Slot = Slot { prefix: "second_moment.", first: 0.0 };
const MEAN_SQUARE: Slot = Slot { prefix: "mean_square.", first: 1.0 };

impl Optimiser {
    /// Optimiser at rest.
    pub fn new(config: OptimiserConfig) -> Self {
        Self {
            config,
            clip: None,
            rates: PlaceRates::default(),
            still: StillSteps::default(),
            state: BTreeMap::new(),
        }
    }

    /// Optimiser that clips the gradients of [`step`](Self::step) first.
    pub fn with_clip(self, clip: Option<Clip>) -> Self {
        Self { clip, ..self }
    }

    /// Optimiser whose [`step`](Self::step) multiplies the learning rate by a factor for each part of the network.
    pub fn with_rates(self, rates: PlaceRates) -> Self {
        Self { rates, ..self }
    }

    /// Optimiser whose bias corrections count, for each part of the network, the steps that it took part in.
    pub(crate) fn with_still_steps(self, still: StillSteps) -> Self {
        Self { still, ..self }
    }

    /// Updates every parameter of a network that has a gradient by one step.
    pub fn step(&mut self, network: &mut ResNet, gradients: Gradients, at: At) {
        if self.clip.is_some() {
            // A limit needs them all before the first parameter moves.
            let mut gathered = Gathered::default();
            gathered.add(network, &gradients);
            drop(gradients);
            return self.step_gathered(network, gathered, at);
        }
        let context = network.context().clone();
        network.update_in_place(gradients, |parameter, values, gradient| {
            self.update_on(
                context.cpu(),
                OneParameter::of(parameter, values, gradient),
                self.at(parameter, at),
            );
        });
    }

    /// [`step`](Self::step) by gradients that were gathered.
    pub(crate) fn step_gathered(&mut self, network: &mut ResNet, mut gathered: Gathered, at: At) {
        let context = network.context().clone();
        let (cpu, clip) = (context.cpu(), self.clip);
        let factor = clip.map_or(1.0, |clip| clip.factor(cpu, &gathered));
        network.change_parameters(|parameter, values| {
            let Some(gradient) = gathered.get_mut(&parameter.path) else { return };
            if factor != 1.0 {
                gradient.iter_mut().for_each(|g| *g *= factor);
            }
            if let Some(clip) = clip {
                clip.apply(cpu, parameter, values, gradient);
            }
            self.update_on(cpu, OneParameter::of(parameter, values, gradient), self.at(parameter, at));
        });
    }

    /// Updates one parameter by one step, in place, on the calling thread. `path` is its name, by which its state is
    /// kept; `role` says whether it decays.
    ///
    /// # Panics
    /// Where `gradient`, or the state kept under `path`, has another length than `parameter`: the caller
    /// has mixed up two parameters. For a step 0 of a rule with bias corrections.
    pub fn update(&mut self, path: &str, role: Role, parameter: &mut [f32], gradient: &[f32], at: At) {
        let cpu = Cpu::new(1).unwrap_or_else(|error| panic!("{path}: {error}"));
        self.update_on(&cpu, OneParameter { path, role, values: parameter, gradient }, at);
    }

    /// Place of a step for one parameter: with the rate of its part of the network.
    fn at(&self, parameter: &Parameter, at: At) -> At {
        let step = self.still.number(parameter.place, at.step);
        At { lr: at.lr * self.rates.factor(parameter.place), step }
    }

    fn update_on(&mut self, cpu: &Cpu, of: OneParameter<'_>, at: At) {
        let OneParameter { path, role, values, gradient } = of;
        let decays = self.config.decay_norm_and_bias || role.decays();
        let decay = if decays { self.config.weight_decay } else { 0.0 };
        if !self.state.contains_key(path) {
            let first = |slot: &Slot| vec![slot.first; values.len()];
            self.state.insert(path.to_owned(), slots(self.config.rule).iter().map(first).collect());
        }
        let state = self.state.get_mut(path).map_or(&mut [][..], Vec::as_mut_slice);
        let rule = DecayedRule { rule: self.config.rule, decay: decay as f32 };
        rule.step(cpu, values, gradient, state, at)
            .unwrap_or_else(|error| panic!("{path}: one gradient and one state a parameter: {error}"));
    }

    /// State by the parameters' names, each as a vector; bit for bit.
    ///
    /// # Errors
    /// [`Error::Weights`] for a name that no tensor may have.
    pub fn state(&self) -> Result<StateDict, Error> {
        let slots = slots(self.config.rule);
        let vectors = self.state.iter().flat_map(|(path, vectors)| {
            slots.iter().zip(vectors).map(move |(slot, values)| (format!("{}{path}", slot.prefix), values))
        });
        let tensors = vectors.map(|(name, values)| {
            Ok((name, residual_weights::Tensor::new(vec![values.len()], values.clone())?))
        });
        Ok(StateDict::from_tensors(tensors.collect::<Result<Vec<_>, Error>>()?)?)
    }

    /// Replaces the state by that which [`Optimiser::state`] gave.
    pub fn load(&mut self, state: StateDict) {
        let slots = slots(self.config.rule);
        self.state.clear();
        for (name, tensor) in state.into_tensors() {
            let found =
                slots.iter().enumerate().find_map(|(at, slot)| Some((at, name.strip_prefix(slot.prefix)?)));
            let Some((at, path)) = found else { continue };
            let vectors = self.state.entry(path.to_owned()).or_insert_with(|| vec![Vec::new(); slots.len()]);
            vectors[at] = tensor.into_parts().1;
        }
    }
}

fn slots(rule: Rule) -> &'static [Slot] {
    match rule {
        Rule::Sgd { momentum: 0.0, .. } => &[],
        Rule::Sgd { .. } | Rule::Lars { .. } => &[VELOCITY],
        Rule::AdamW { .. } | Rule::Lamb { .. } => &[FIRST_MOMENT, SECOND_MOMENT],
        // The prefix that every name has comes last.
        Rule::RmsProp { .. } => &[MEAN_SQUARE, VELOCITY],
        Rule::Lion { .. } => &[FIRST_MOMENT],
    }
}

/// A rule with the weight decay of one parameter.
struct DecayedRule {
    rule: Rule,
    decay: f32,
}

impl DecayedRule {
    fn step(
        &self,
        cpu: &Cpu,
        parameter: &mut [f32],
        gradient: &[f32],
        state: &mut [Vec<f32>],
        at: At,
    ) -> Result<(), KernelError> {
        let (lr, weight_decay) = (at.lr as f32, self.decay);
        let [mut first, mut second] = [Vec::new(), Vec::new()];
        let (one, two) = match state {
            [] => (&mut first, &mut second),
            [one] => (one, &mut second),
            [one, two, ..] => (one, two),
        };
        let both: [&mut [f32]; 2] = [one, two];
        match self.rule {
            Rule::Sgd { momentum, nesterov } => {
                let [velocity, _] = both;
                optim::Sgd { lr, momentum: momentum as f32, weight_decay, nesterov }
                    .step(cpu, parameter, gradient, velocity)
            }
            Rule::AdamW { betas, epsilon } => {
                optim::AdamW { lr, betas: betas.map(|beta| beta as f32), eps: epsilon as f32, weight_decay }
                    .step(cpu, at.step, parameter, gradient, both)
            }
            Rule::Lamb { betas, epsilon } => {
                optim::Lamb { lr, betas: betas.map(|beta| beta as f32), eps: epsilon as f32, weight_decay }
                    .step(cpu, at.step, parameter, gradient, both)
            }
            Rule::Lars { momentum, eta, epsilon } => {
                let [momentum, eta, eps] = [momentum, eta, epsilon].map(|value| value as f32);
                let [velocity, _] = both;
                optim::Lars { lr, momentum, eta, eps, weight_decay }.step(cpu, parameter, gradient, velocity)
            }
            Rule::RmsProp { alpha, momentum, epsilon } => {
                let [alpha, momentum, eps] = [alpha, momentum, epsilon].map(|value| value as f32);
                optim::RmsProp { lr, alpha, momentum, eps, weight_decay }.step(cpu, parameter, gradient, both)
            }
            Rule::Lion { betas } => {
                let [momentum, _] = both;
                optim::Lion { lr, betas: betas.map(|beta| beta as f32), weight_decay }
                    .step(cpu, parameter, gradient, momentum)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sgd(momentum: f64, nesterov: bool) -> OptimiserConfig {
        OptimiserConfig::sgd().with(|sgd| {
            (sgd.rule, sgd.weight_decay) = (Rule::Sgd { momentum, nesterov }, 0.1);
        })
    }

    /// Two steps from `p = 1` with gradients 0.5 and -0.25 at rates 0.1 and 0.2.
    fn two_steps(config: OptimiserConfig, role: Role) -> f32 {
        let mut optimiser = Optimiser::new(config);
        let mut p = [1.0];
        optimiser.update("p", role, &mut p, &[0.5], At { lr: 0.1, step: 1 });
        optimiser.update("p", role, &mut p, &[-0.25], At { lr: 0.2, step: 2 });
        p[0]
    }

    fn close(found: f32, expected: f32) {
        assert!((found - expected).abs() < 1e-6, "{found} instead of {expected}");
    }

    #[test]
    fn momentum_and_weight_decay_by_hand() {
        // g = 0.5 + 0.1 = 0.6, v = 0.6, p = 1 - 0.06 = 0.94;
        // g = -0.25 + 0.094 = -0.156, v = 0.54 - 0.156 = 0.384, p = 0.94 - 0.0768 = 0.8632
        close(two_steps(sgd(0.9, false), Role::ConvWeight), 0.8632);
    }

    #[test]
    fn nesterov_by_hand() {
        // g = 0.6, v = 0.6, p = 1 - 0.1 (0.6 + 0.54) = 0.886;
        // g = -0.25 + 0.0886 = -0.1614, v = 0.54 - 0.1614 = 0.3786,
        // p = 0.886 - 0.2 (-0.1614 + 0.34074) = 0.850132
        close(two_steps(sgd(0.9, true), Role::ConvWeight), 0.850132);
    }

    #[test]
    fn norms_and_biases_decay_only_when_asked() {
        // v = 0.5, p = 0.95; v = 0.45 - 0.25 = 0.2, p = 0.95 - 0.04 = 0.91
        for role in [Role::NormWeight, Role::NormBias, Role::LinearBias] {
            close(two_steps(sgd(0.9, false), role), 0.91);
            let all = sgd(0.9, false).with(|sgd| sgd.decay_norm_and_bias = true);
            close(two_steps(all, role), 0.8632);
        }
    }

    #[test]
    fn without_momentum_nothing_is_kept() {
        let config = sgd(0.0, false).with(|sgd| sgd.weight_decay = 0.0);
        // 1 - 0.05 = 0.95; 0.95 + 0.05 = 1
        close(two_steps(config, Role::ConvWeight), 1.0);
        let mut optimiser = Optimiser::new(config);
        optimiser.update("p", Role::ConvWeight, &mut [1.0], &[0.5], At { lr: 0.1, step: 1 });
        assert!(optimiser.state().unwrap().is_empty());
    }

    #[test]
    fn a_restored_state_continues_to_the_same_bits() {
        for name in OptimiserConfig::NAMES {
            let config: OptimiserConfig = name.parse().unwrap();
            let gradient = |t: i32| [0.1 + 0.3 * (t as f32).sin(), -0.7 * (t as f32).cos()];
            let mut whole = Optimiser::new(config);
            let mut p = [0.3, -1.7];
            let mut resumed = Optimiser::new(config);
            let mut q = p;
            for t in 0..20 {
                let at = At { lr: 0.05, step: t as u64 + 1 };
                whole.update("stage1.w", Role::ConvWeight, &mut p, &gradient(t), at);
                resumed.update("stage1.w", Role::ConvWeight, &mut q, &gradient(t), at);
                let mut next = Optimiser::new(config);
                next.load(resumed.state().unwrap());
                resumed = next;
            }
            assert_eq!(p.map(f32::to_bits), q.map(f32::to_bits), "{name}");
            assert_eq!(whole, resumed, "{name}");
        }
    }

    #[test]
    fn wrong_constants_are_refused() {
        for momentum in [-0.1, 1.0, f64::NAN] {
            let error = sgd(momentum, false).validate().unwrap_err();
            assert!(matches!(error, Error::Momentum { .. }), "{error}");
        }
        let error = sgd(0.0, true).validate().unwrap_err();
        assert!(matches!(error, Error::NesterovWithoutMomentum), "{error}");
        let wrong = [
            sgd(0.9, true).with(|sgd| sgd.weight_decay = -1e-4),
            OptimiserConfig::adamw()
                .with(|adamw| adamw.rule = Rule::AdamW { betas: [0.9, 1.0], epsilon: 1e-8 }),
            OptimiserConfig::lamb().with(|lamb| lamb.rule = Rule::Lamb { betas: [0.9, 0.9], epsilon: 0.0 }),
        ];
        for config in wrong {
            let error = config.validate().unwrap_err();
            assert!(matches!(error, Error::OutOfRange { .. }), "{error}");
        }
        for name in OptimiserConfig::NAMES {
            assert!(name.parse::<OptimiserConfig>().unwrap().validate().is_ok(), "{name}");
        }
    }
}
