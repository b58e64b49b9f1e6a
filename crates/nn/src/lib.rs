//! Residual networks as Burn modules: blocks, stages, whole networks, and residuals beyond CNNs.
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use residual_nn::{Mode, ResNetConfig};
//!
//! let spec = residual_arch::families::family("cifar_resnet20")?;
//! let net = ResNetConfig::new(spec).init(&Device::flex())?;
//! let logits = net.forward(Tensor::zeros([1, 3, 32, 32], &Device::flex()), Mode::Eval);
//! assert_eq!(logits.dims(), [1, 10]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! - [`Residual`] wraps any module `F` into `act(F(x) + S(x))`.
//! - [`block`] has the blocks of the papers, [`ResNet`] whole networks.
//! - [`Mode`] says at every `forward` whether this is training or evaluation, and carries the randomness
//!   of a training step. Nothing is guessed from the device.
//! - [`probe`] takes the gradient at a residual apart.
//! - [`beyond`] has a transformer encoder block and a diffusion U-Net block, built from the same
//!   [`Residual`].
#![recursion_limit = "256"]

mod activation;
pub mod beyond;
pub mod block;
mod blur;
mod conv;
mod drop_block;
mod efficient_attention;
mod error;
pub mod fused;
mod head;
mod init;
mod layer;
mod layers;
mod linear;
mod loss;
mod mode;
mod norm;
pub mod probe;
mod residual;
mod resnet;
mod running;
mod shortcut;
mod small;
mod squeeze;
mod stage;
mod stateless;
mod stem;
pub mod tensors;

pub use activation::Activation;
pub use block::{
    BasicBlock, BasicBlockConfig, Block, BlockConfig, BottleneckBlock, BottleneckBlockConfig, PlainBlock,
    PlainBlockConfig, PreActBlock, PreActBlockConfig, ProjectionBlock, ProjectionBlockConfig,
};
pub use conv::Conv2d;
pub use drop_block::DropBlock;
pub use efficient_attention::EfficientAttention;
pub use error::Error;
pub use fused::{Compute, Maps};
pub use head::Head;
pub use init::{Fill, Init};
pub use layer::LayerModule;
pub use layers::Layers;
pub use linear::Linear;
pub use loss::{Loss, Objective, cross_entropy, objective, soft_cross_entropy};
pub use mode::{Mode, Randomness, StepCounter};
pub use norm::{BatchNorm, BatchNormConfig};
pub use residual::{Branch, Identity, Residual, ShortcutPath, StochasticDepth};
pub use resnet::{Features, Parameter, ResNet, ResNetConfig};
pub use running::Running;
pub use shortcut::Shortcut;
pub use small::{SmallResNet, SmallResNetConfig};
pub use squeeze::SqueezeExcite;
pub use stage::{Stage, StageConfig};
pub use stateless::Stateless;
pub use stem::Stem;
pub use tensors::NamedTensor;
