//! One residual, taken apart.

use burn::tensor::Tensor;

use super::Shares;
use crate::{Activation, Block, Branch, Mode, Residual, ShortcutPath};

/// The gradient at one residual `y = act(F(x) + S(x))`, by the path that it takes, for a given `dL/dy`.
///
/// With `u = F(x) + S(x)` the sum and `g = dL/du` what passes the activation's gate (for a ReLU `g` is `dL/dy`
/// where `u > 0` and zero elsewhere; without an activation `g = dL/dy`):
///
/// `dL/dx = (dS/dx)^T g + (dF/dx)^T g`
///
/// For an identity shortcut the first share is `g` itself, untouched: He et al. 2016, equation 5. For a
/// projection it is `W^T g` and for a zero-padded one the channels and positions of `g` that the shortcut
/// reads. In a pre-activation block that changes the shape both paths begin after the first BN-ReLU, and both
/// shares include it. Stochastic depth scales the branch's share as it does the branch.
#[derive(Clone, Debug)]
pub struct Split<const D: usize> {
    /// `x`.
    pub x: Tensor<D>,
    /// `F(x)`.
    pub branch_output: Tensor<D>,
    /// `dL/dy`.
    pub output: Tensor<D>,
    /// `dL/du`.
    pub sum: Tensor<D>,
    /// `(dS/dx)^T dL/du`; `None` without a shortcut.
    pub shortcut: Option<Tensor<D>>,
    /// `(dF/dx)^T dL/du`.
    pub branch: Tensor<D>,
    /// `dL/dx`: the sum of the two shares.
    pub input: Tensor<D>,
}

/// A path from `x`, as a function.
type PathOf<'a, const D: usize> = &'a dyn Fn(Tensor<D>) -> Option<Tensor<D>>;

/// Splits the gradient at any residual.
///
/// The module's running statistics stay as they are.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use residual_nn::{BasicBlockConfig, Mode, probe};
/// let device = Device::flex().autodiff();
/// let block = BasicBlockConfig::new(4).init(&device)?;
/// let (x, dy) = (Tensor::ones([2, 4, 8, 8], &device), Tensor::ones([2, 4, 8, 8], &device));
/// let shares = probe::split(&block.residual, x, dy, Mode::train(0, 0)).shares();
/// assert!(shares.identity.is_some());
/// # Ok::<(), residual_nn::Error>(())
/// ```
///
/// # Shapes
/// `x` as the residual takes it, `dy` as it gives it. The tensors of the split are without autodiff.
pub fn split<const D: usize, F: Branch<D>, S: ShortcutPath<D>>(
    residual: &Residual<F, S>,
    x: Tensor<D>,
    dy: Tensor<D>,
    mode: Mode,
) -> Split<D> {
    // Forward passes in training move running statistics: those of a copy.
    let (f, s) = (residual.branch.clone(), residual.shortcut.clone());
    let shortcut = |x: Tensor<D>| s.forward(x, mode);
    // Without a shortcut nothing is dropped.
    let scaled = |y: Tensor<D>, x: Tensor<D>| match shortcut(x) {
        Some(_) => residual.scaled(y, mode),
        None => y,
    };
    let branch = |x: Tensor<D>| Some(scaled(f.forward(x.clone(), mode), x));
    apart(x, dy, residual.activation(), &branch, &shortcut)
}

/// Splits the gradient at a block, [`split`] for the blocks of the papers; always through the layers' stock
/// operations, on every device.
pub fn split_block(block: &Block, x: Tensor<4>, dy: Tensor<4>, mode: Mode) -> Split<4> {
    let block = block.clone();
    let mode = mode.within(&block.training);
    let branch = |x: Tensor<4>| Some(block.branch_of(x, mode));
    let shortcut = |x: Tensor<4>| block.shortcut_of(x, mode);
    apart(x, dy, block.residual.activation(), &branch, &shortcut)
}

fn apart<const D: usize>(
    x: Tensor<D>,
    dy: Tensor<D>,
    activation: Activation,
    branch: PathOf<'_, D>,
    shortcut: PathOf<'_, D>,
) -> Split<D> {
    let (x, dy) = (x.inner(), dy.inner());
    let leaf = || x.clone().autodiff().require_grad();
    let (from_branch, from_shortcut) = (leaf(), leaf());
    let b = branch(from_branch.clone());
    let s = shortcut(from_shortcut.clone());
    let values = |path: &Option<Tensor<D>>| path.as_ref().map(|path| path.clone().inner());
    let sum = match (values(&b), values(&s)) {
        (Some(b), Some(s)) => b + s,
        (Some(path), None) | (None, Some(path)) => path,
        (None, None) => x.clone(),
    };
    let g = through(activation, sum, &dy);
    let branch_output = values(&b).unwrap_or_else(|| x.zeros_like());
    let branch = b.and_then(|b| pulled_back(&from_branch, b, &g)).unwrap_or_else(|| x.zeros_like());
    let shortcut = s.map(|s| pulled_back(&from_shortcut, s, &g).unwrap_or_else(|| x.zeros_like()));
    let input = match &shortcut {
        Some(shortcut) => shortcut.clone() + branch.clone(),
        None => branch.clone(),
    };
    Split { x, branch_output, output: dy, sum: g, shortcut, branch, input }
}

/// `dL/du` for `y = act(u)`.
fn through<const D: usize>(activation: Activation, sum: Tensor<D>, dy: &Tensor<D>) -> Tensor<D> {
    if activation == Activation::None {
        return dy.clone();
    }
    let u = sum.autodiff().require_grad();
    pulled_back(&u, activation.forward(u.clone()), dy).unwrap_or_else(|| dy.zeros_like())
}

/// `(df/dx)^T g` for `y = f(x)`, `x` a leaf; `None` where `y` does not depend on `x`.
fn pulled_back<const D: usize>(x: &Tensor<D>, y: Tensor<D>, g: &Tensor<D>) -> Option<Tensor<D>> {
    let gradients = (y * g.clone().autodiff()).sum().backward();
    x.grad(&gradients)
}

impl<const D: usize> Split<D> {
    /// The norms and the angle.
    pub fn shares(&self) -> Shares {
        Shares::of(self)
    }
}
