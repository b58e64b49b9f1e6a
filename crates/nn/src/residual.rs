//! `y = act(F(x) + S(x))` around any module.

use burn::module::Module;
use burn::tensor::{Tensor, TensorData};

use crate::{Activation, Mode, Randomness};

/// A residual branch: `F` in `y = act(F(x) + S(x))`.
pub trait Branch<const D: usize>: Module {
    /// `F(x)`. Its shape must be that of the shortcut's `S(x)`.
    fn forward(&self, x: Tensor<D>, mode: Mode) -> Tensor<D>;
}

/// The path beside a branch: `S` in `y = act(F(x) + S(x))`.
pub trait ShortcutPath<const D: usize>: Module {
    /// `S(x)`; `None` where there is no shortcut (plain networks), so that `y = act(F(x))`.
    fn forward(&self, x: Tensor<D>, mode: Mode) -> Option<Tensor<D>>;
}

/// `S(x) = x`.
#[derive(Module, Debug, Default)]
pub struct Identity {}

impl<const D: usize> ShortcutPath<D> for Identity {
    fn forward(&self, x: Tensor<D>, _mode: Mode) -> Option<Tensor<D>> {
        Some(x)
    }
}

/// A residual: `y = act(F(x) + S(x))`, in training with stochastic depth `y = act(b / keep F(x) + S(x))`.
///
/// `F` is any module. The shortcut is the identity and there is no activation after the addition unless
/// said otherwise.
///
/// ```
/// use burn::{module::Module, tensor::{Device, Tensor}};
/// use residual_nn::{Activation, Branch, Init, Linear, Mode, Residual};
///
/// /// A branch of one's own: two linear layers.
/// #[derive(Module, Debug)]
/// struct Mlp {
///     up: Linear,
///     down: Linear,
/// }
///
/// impl Branch<2> for Mlp {
///     fn forward(&self, x: Tensor<2>, mode: Mode) -> Tensor<2> {
///         self.down.forward(Activation::Relu.forward(self.up.forward(x, mode)), mode)
///     }
/// }
///
/// let init = Init::new(0, &Device::flex());
/// let mlp = Mlp { up: Linear::new(8, 32, init.at("up")), down: Linear::new(32, 8, init.at("down")) };
/// let residual = Residual::new(mlp).with_stochastic_depth("mlp", 0.1);
/// let y = residual.forward(Tensor::ones([3, 8], init.device()), Mode::Eval);
/// assert_eq!(y.dims(), [3, 8]);
/// ```
#[derive(Module, Debug)]
pub struct Residual<F: Module, S: Module = Identity> {
    /// `F`.
    pub branch: F,
    /// `S`.
    pub shortcut: S,
    #[module(skip)]
    activation: Activation,
    #[module(skip)]
    depth: StochasticDepth,
}

impl<F: Module> Residual<F> {
    /// `y = F(x) + x`.
    pub fn new(branch: F) -> Self {
        Self {
            branch,
            shortcut: Identity {},
            activation: Activation::None,
            depth: StochasticDepth::default(),
        }
    }
}

impl<F: Module, S: Module> Residual<F, S> {
    /// Sets the shortcut.
    pub fn with_shortcut<T: Module>(self, shortcut: T) -> Residual<F, T> {
        Residual { branch: self.branch, shortcut, activation: self.activation, depth: self.depth }
    }

    /// Sets the activation after the addition.
    pub fn with_activation(self, activation: Activation) -> Self {
        Self { activation, ..self }
    }

    /// Sets stochastic depth: in training each sample loses its branch with probability `drop`. `usage`
    /// names the draws; residuals of one network need different names.
    pub fn with_stochastic_depth(self, usage: impl Into<String>, drop: f64) -> Self {
        Self { depth: StochasticDepth { usage: usage.into(), drop: drop.clamp(0.0, 1.0) }, ..self }
    }

    /// The activation after the addition.
    pub fn activation(&self) -> Activation {
        self.activation
    }

    /// Factor of the branch of each of so many samples; `None` where none is dropped.
    pub(crate) fn factors(&self, mode: Mode, samples: usize) -> Option<Vec<f32>> {
        match mode {
            Mode::Train(randomness) if self.depth.drop > 0.0 => Some(self.depth.factors(randomness, samples)),
            _ => None,
        }
    }

    /// `act(F(x) + S(x))`.
    pub fn forward<const D: usize>(&self, x: Tensor<D>, mode: Mode) -> Tensor<D>
    where
        F: Branch<D>,
        S: ShortcutPath<D>,
    {
        self.forward_with(x, mode, |branch, x| branch.forward(x, mode))
    }

    /// `act(f(F, x) + S(x))`: for a branch that takes more than `x`, as a time embedding.
    pub fn forward_with<const D: usize>(
        &self,
        x: Tensor<D>,
        mode: Mode,
        f: impl FnOnce(&F, Tensor<D>) -> Tensor<D>,
    ) -> Tensor<D>
    where
        S: ShortcutPath<D>,
    {
        let shortcut = self.shortcut.forward(x.clone(), mode);
        let branch = f(&self.branch, x);
        self.join(branch, shortcut, mode)
    }

    /// `act(branch + shortcut)`: the join of the two paths, and the only place where they meet.
    pub fn join<const D: usize>(
        &self,
        branch: Tensor<D>,
        shortcut: Option<Tensor<D>>,
        mode: Mode,
    ) -> Tensor<D> {
        let sum = match shortcut {
            Some(shortcut) => self.scaled(branch, mode) + shortcut,
            None => branch,
        };
        self.activation.forward(sum)
    }

    /// The branch as it enters the sum: with stochastic depth in training, `b / keep F(x)`.
    pub(crate) fn scaled<const D: usize>(&self, branch: Tensor<D>, mode: Mode) -> Tensor<D> {
        self.depth.forward(branch, mode)
    }
}

/// Stochastic depth (Huang et al. 2016): in training a sample's branch is dropped with probability
/// `drop`, and scaled by `1 / (1 - drop)` where it is kept, so that evaluation needs no scaling.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct StochasticDepth {
    usage: String,
    drop: f64,
}

impl StochasticDepth {
    /// Drops samples along the first axis.
    fn forward<const D: usize>(&self, branch: Tensor<D>, mode: Mode) -> Tensor<D> {
        let Mode::Train(randomness) = mode else { return branch };
        if self.drop == 0.0 {
            return branch;
        }
        let mut shape = [1; D];
        shape[0] = branch.dims()[0];
        let factors = TensorData::new(self.factors(randomness, shape[0]), shape);
        let factors = Tensor::from_data(factors, &branch.device());
        branch * factors
    }

    /// 0 or `1 / (1 - drop)` for every sample.
    fn factors(&self, randomness: Randomness, samples: usize) -> Vec<f32> {
        let keep = 1.0 - self.drop;
        let factor = |i| if randomness.uniform(&self.usage, i) < keep { (1.0 / keep) as f32 } else { 0.0 };
        (randomness.first..randomness.first + samples as u64).map(factor).collect()
    }
}
