//! Self-attention.

use burn::module::Module;
use burn::tensor::{Tensor, activation::softmax};

use crate::{Error, Init, Linear, Mode};

/// Multi-head self-attention (Vaswani et al. 2017, section 3.2):
/// `softmax(Q K^T / sqrt(d)) V` in every head, the heads concatenated and projected.
#[derive(Module, Debug)]
pub struct SelfAttention {
    /// Layer to queries, keys and values, one after the other.
    pub qkv: Linear,
    /// Layer from the concatenated heads.
    pub output: Linear,
    /// Number of heads.
    pub heads: usize,
}

impl SelfAttention {
    /// `heads` heads over `features` features.
    ///
    /// # Errors
    /// If the heads do not divide the features.
    pub fn new(features: usize, heads: usize, init: impl Into<Init>) -> Result<Self, Error> {
        if features == 0 || heads == 0 || !features.is_multiple_of(heads) {
            return Err(Error::Division { what: "features", whole: features, parts: heads });
        }
        let init = init.into();
        Ok(Self {
            qkv: Linear::new(features, 3 * features, init.at("qkv")),
            output: Linear::new(features, features, init.at("output")),
            heads,
        })
    }

    /// # Shapes
    /// `[batch, tokens, features]`, in and out.
    pub fn forward(&self, x: Tensor<3>, mode: Mode) -> Tensor<3> {
        let [batch, tokens, features] = x.dims();
        let width = features / self.heads;
        // [3, batch, heads, tokens, width], then one tensor for each of queries, keys and values.
        let qkv = self.qkv.forward(x, mode).reshape([batch, tokens, 3, self.heads, width]);
        let qkv = qkv.permute([2, 0, 3, 1, 4]);
        let [q, k, v] =
            [0, 1, 2].map(|i| qkv.clone().narrow(0, i, 1).reshape([batch, self.heads, tokens, width]));
        let scores = q.matmul(k.swap_dims(2, 3)) * (width as f64).powf(-0.5);
        let mixed = softmax(scores, 3).matmul(v).swap_dims(1, 2);
        self.output.forward(mixed.reshape([batch, tokens, features]), mode)
    }
}
