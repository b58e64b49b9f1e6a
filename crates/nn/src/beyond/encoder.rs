//! The pre-norm transformer encoder block.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use super::{LayerNorm, SelfAttention};
use crate::{Activation, Branch, Error, Init, Linear, Mode, Residual};

/// Configuration of an [`EncoderBlock`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EncoderBlockConfig {
    /// Features of a token.
    pub features: usize,
    /// Heads of the attention.
    pub heads: usize,
    /// Features between the two feed-forward layers.
    pub hidden: usize,
    /// Probability of dropping a branch in training.
    pub stochastic_depth: f64,
    /// Start both branches at zero, so that the block begins as the identity.
    pub zero_init: bool,
}

impl EncoderBlockConfig {
    /// Four times as many features in the feed-forward layers.
    pub fn new(features: usize, heads: usize) -> Self {
        Self { features, heads, hidden: 4 * features, stochastic_depth: 0.0, zero_init: false }
    }

    /// Start both branches at zero.
    pub fn with_zero_init(self) -> Self {
        Self { zero_init: true, ..self }
    }

    /// Sets the probability of stochastic depth.
    pub fn with_stochastic_depth(self, drop: f64) -> Self {
        Self { stochastic_depth: drop, ..self }
    }

    /// Builds it.
    ///
    /// # Errors
    /// If the heads do not divide the features.
    pub fn init(&self, init: impl Into<Init>) -> Result<EncoderBlock, Error> {
        let init = init.into();
        let (at_attention, at_feed) = (init.at("attention"), init.at("feed_forward"));
        let mut attention = AttentionBranch {
            norm: LayerNorm::new(self.features, at_attention.at("norm")),
            attention: SelfAttention::new(self.features, self.heads, at_attention.clone())?,
        };
        let mut feed = FeedForwardBranch {
            norm: LayerNorm::new(self.features, at_feed.at("norm")),
            up: Linear::new(self.features, self.hidden, at_feed.at("up")),
            down: Linear::new(self.hidden, self.features, at_feed.at("down")),
        };
        if self.zero_init {
            zero(&mut attention.attention.output);
            zero(&mut feed.down);
        }
        let drop = self.stochastic_depth;
        Ok(EncoderBlock {
            attention: Residual::new(attention).with_stochastic_depth(at_attention.path(), drop),
            feed_forward: Residual::new(feed).with_stochastic_depth(at_feed.path(), drop),
        })
    }
}

fn zero(layer: &mut Linear) {
    layer.weight = Param::from_tensor(layer.weight.val().zeros_like());
    layer.bias = Param::from_tensor(layer.bias.val().zeros_like());
}

/// A pre-norm transformer encoder block:
///
/// `h = x + attention(norm(x))`, `y = h + down(gelu(up(norm(h))))`
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use residual_nn::{Mode, beyond::EncoderBlockConfig};
/// let block = EncoderBlockConfig::new(32, 4).init(&Device::flex())?;
/// let y = block.forward(Tensor::ones([2, 16, 32], &Device::flex()), Mode::Eval);
/// assert_eq!(y.dims(), [2, 16, 32]);
/// # Ok::<(), residual_nn::Error>(())
/// ```
#[derive(Module, Debug)]
pub struct EncoderBlock {
    /// Around attention.
    pub attention: Residual<AttentionBranch>,
    /// Around the feed-forward layers.
    pub feed_forward: Residual<FeedForwardBranch>,
}

impl EncoderBlock {
    /// # Shapes
    /// `[batch, tokens, features]`, in and out.
    pub fn forward(&self, x: Tensor<3>, mode: Mode) -> Tensor<3> {
        self.feed_forward.forward(self.attention.forward(x, mode), mode)
    }
}

/// `attention(norm(x))`.
#[derive(Module, Debug)]
pub struct AttentionBranch {
    /// First.
    pub norm: LayerNorm,
    /// Then.
    pub attention: SelfAttention,
}

impl Branch<3> for AttentionBranch {
    fn forward(&self, x: Tensor<3>, mode: Mode) -> Tensor<3> {
        self.attention.forward(self.norm.forward(x, mode), mode)
    }
}

/// `down(gelu(up(norm(x))))`.
#[derive(Module, Debug)]
pub struct FeedForwardBranch {
    /// First.
    pub norm: LayerNorm,
    /// Layer to more features.
    pub up: Linear,
    /// And back.
    pub down: Linear,
}

impl Branch<3> for FeedForwardBranch {
    fn forward(&self, x: Tensor<3>, mode: Mode) -> Tensor<3> {
        let h = self.up.forward(self.norm.forward(x, mode), mode);
        self.down.forward(Activation::Gelu.forward(h), mode)
    }
}
