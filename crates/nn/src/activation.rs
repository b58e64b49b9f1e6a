//! Activations.

use burn::tensor::{Tensor, activation};

/// An elementwise activation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Activation {
    /// `max(x, 0)`.
    #[default]
    Relu,
    /// `x sigmoid(x)`, also called swish.
    Silu,
    /// `x Phi(x)`, the exact form (Hendrycks and Gimpel 2016).
    Gelu,
    /// `x`: pre-activation blocks, transformers, U-Nets.
    None,
}

impl Activation {
    /// The activation of a layer; `None` for one that this crate does not have.
    pub fn of(activation: residual_arch::Activation) -> Option<Self> {
        match activation {
            residual_arch::Activation::Relu => Some(Self::Relu),
            _ => None,
        }
    }

    /// Applies it.
    pub fn forward<const D: usize>(self, x: Tensor<D>) -> Tensor<D> {
        match self {
            Self::Relu => activation::relu(x),
            Self::Silu => activation::silu(x),
            Self::Gelu => activation::gelu(x),
            Self::None => x,
        }
    }
}
