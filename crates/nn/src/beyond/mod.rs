//! Residuals beyond convolutional networks, built from the same [`Residual`](crate::Residual).
//!
//! - [`EncoderBlock`]: the pre-norm transformer encoder block, residuals around attention and around the
//!   feed-forward layers (Vaswani et al. 2017; pre-norm: Xiong et al. 2020).
//! - [`UNetBlock`]: the residual block of diffusion U-Nets, with group norm, SiLU and a time embedding
//!   (Ho et al. 2020, appendix B).

mod attention;
mod encoder;
mod group_norm;
mod layer_norm;
mod time;
mod unet;

pub use attention::SelfAttention;
pub use encoder::{AttentionBranch, EncoderBlock, EncoderBlockConfig, FeedForwardBranch};
pub use group_norm::GroupNorm;
pub use layer_norm::LayerNorm;
pub use time::TimeEmbedding;
pub use unet::{UNetBlock, UNetBlockConfig, UNetBranch, UNetShortcut};
