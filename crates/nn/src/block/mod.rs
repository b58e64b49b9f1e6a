//! The blocks of the papers. One [`Block`] runs them all, told by its [`BlockSpec`]; each kind has a
//! config of its own under the paper's name.
//!
//! | config | block |
//! | --- | --- |
//! | [`BasicBlockConfig`] | conv3-BN-ReLU-conv3-BN, add, ReLU |
//! | [`ProjectionBlockConfig`] | the same with a 1x1 convolution and BN beside it, any stride and channels |
//! | [`BottleneckBlockConfig`] | 1x1, 3x3 with the stride, 1x1; projection where the shape changes |
//! | [`PreActBlockConfig`] | BN-ReLU-conv twice or thrice, nothing after the addition |
//! | [`PlainBlockConfig`] | the layers of any of these without a shortcut |
//! | [`BlockConfig`] | any [`BlockSpec`], with all options |

mod basic;
mod bottleneck;
mod fuse;
mod parts;
mod plain;
mod preact;
mod projection;

pub use basic::{BasicBlock, BasicBlockConfig};
pub use bottleneck::{BottleneckBlock, BottleneckBlockConfig};
pub use plain::{PlainBlock, PlainBlockConfig};
pub use preact::{PreActBlock, PreActBlockConfig};
pub use projection::{ProjectionBlock, ProjectionBlockConfig};

use burn::module::{Flag, Module, Param};
use burn::tensor::Tensor;
use residual_arch::{BlockKind, BlockPart, BlockSpec, Layer, LayerOp};
use residual_kernels::block::BlockShape;

use crate::error::assert_channels;
use crate::fused::FusedContext;
use crate::{
    Compute, DropBlock, Error, Init, LayerModule, Layers, Maps, Mode, Residual, Shortcut, ShortcutPath,
};
use parts::Parts;

/// Configuration of any [`Block`].
#[derive(Clone, Debug, PartialEq)]
pub struct BlockConfig {
    /// Specification of the block.
    pub spec: BlockSpec,
    /// Channels of its input.
    pub in_channels: usize,
}

impl BlockConfig {
    /// The block `spec` on an input of `in_channels`.
    pub fn new(spec: BlockSpec, in_channels: usize) -> Self {
        Self { spec, in_channels }
    }

    /// Builds it, He initialisation.
    ///
    /// # Errors
    /// If branch and shortcut do not fit each other, or groups do not divide channels.
    pub fn init(&self, init: impl Into<Init>) -> Result<Block, Error> {
        let checked = crate::error::check_block(&self.spec, self.in_channels)?;
        Block::build(&self.spec, checked.layers(), &init.into())
    }
}

/// A residual block, `y = act(F(x) + S(x))`, or a plain one, `y = act(F(x))`.
///
/// In a pre-activation block that changes the shape, both paths start after the first BN-ReLU:
/// `y = F(h) + S(h)`, `h = relu(norm1(x))` (He et al. 2016).
#[derive(Module, Debug)]
pub struct Block {
    /// The two paths and their join.
    pub residual: Residual<Layers, Shortcut>,
    #[module(skip)]
    spec: BlockSpec,
    #[module(skip)]
    in_channels: usize,
    /// Number of the branch's layers before the map that the shortcut reads.
    #[module(skip)]
    fork: usize,
    /// The block as the kernels know it, where they do.
    #[module(skip)]
    kernel_shape: Option<BlockShape>,
    #[module(skip)]
    drop_block: Option<DropBlock>,
    /// Name of its draws.
    #[module(skip)]
    drop_block_usage: String,
    #[module(skip)]
    compute: Compute,
    #[module(skip)]
    context: FusedContext,
    /// Disabled in a frozen block, which always runs as in [`Mode::Eval`].
    pub training: Param<Flag>,
}

impl Block {
    /// Builds the checked block `spec`, which has these layers.
    pub(crate) fn build(spec: &BlockSpec, layers: &[Layer], init: &Init) -> Result<Self, Error> {
        let parts = Parts::of(layers);
        let drop = layers.iter().find_map(|layer| match layer.op() {
            &LayerOp::StochasticDepth { probability } => Some(probability),
            _ => None,
        });
        let residual = Residual::new(Layers::new(parts.branch.iter().copied(), init)?)
            .with_shortcut(Shortcut::build(layers, init)?)
            .with_activation(parts.output_activation()?)
            .with_stochastic_depth(init.at(BlockPart::Depth).path(), drop.unwrap_or(0.0));
        Ok(Self {
            residual,
            spec: *spec,
            in_channels: layers.first().map_or(0, |layer| layer.input()[0]),
            fork: parts.fork(),
            kernel_shape: parts.kernel_shape(),
            drop_block: None,
            drop_block_usage: init.at("drop_block").path().to_owned(),
            compute: Compute::default(),
            context: FusedContext::default(),
            training: Param::from_bool(true),
        })
    }

    /// Specification of the block.
    pub fn spec(&self) -> &BlockSpec {
        &self.spec
    }

    /// Channels of its input.
    pub fn in_channels(&self) -> usize {
        self.in_channels
    }

    /// # Shapes
    /// `[batch, in, h, w]` to `[batch, channels, ceil(h / stride), ceil(w / stride)]`.
    ///
    /// # Panics
    /// If the input does not fit: [`check_input`](Self::check_input) finds that beforehand.
    pub fn forward(&self, x: Tensor<4>, mode: Mode) -> Tensor<4> {
        self.forward_maps(x.into(), mode).into_tensor()
    }

    /// [`forward`](Self::forward) on maps that may stay in the kernels' layout from block to block.
    pub fn forward_maps(&self, x: Maps, mode: Mode) -> Maps {
        self.forward_to(x, mode, 0)
    }

    /// Output with a border, for a next layer that makes use of one.
    pub(crate) fn forward_to(&self, x: Maps, mode: Mode, border: usize) -> Maps {
        assert_channels("block", x.dims()[1], self.in_channels);
        let mode = mode.within(&self.training);
        match self.fused(&x, mode) {
            Some(unit) if mode.is_training() => {
                unit.train(x.blocked(&self.context, self.border()), border).into()
            }
            Some(unit) if x.are_tracked() => {
                unit.hand_on(x.blocked(&self.context, self.border()), border).into()
            }
            Some(unit) => unit.evaluate(x.blocked(&self.context, self.border()), border).into(),
            None => self.forward_stock(x.into_tensor(), mode).into(),
        }
    }

    /// Number of the branch's layers before the map that the shortcut reads.
    pub(crate) fn fork(&self) -> usize {
        self.fork
    }

    /// Layer by layer.
    fn forward_stock(&self, x: Tensor<4>, mode: Mode) -> Tensor<4> {
        let (branch, shortcut) = (&self.residual.branch, &self.residual.shortcut);
        let h = branch.run(0..self.fork, x, mode);
        let shortcut = ShortcutPath::forward(shortcut, h.clone(), mode);
        let h = match self.drop_block.filter(|_| mode.is_training()) {
            Some(drop_block) => {
                let at = self.drop_block_place();
                let h = branch.run(self.fork..at, h, mode);
                branch.run(at..branch.len(), drop_block.forward(h, &self.drop_block_usage, mode), mode)
            }
            None => branch.run(self.fork..branch.len(), h, mode),
        };
        self.residual.join(h, shortcut, mode)
    }

    /// Number of the branch's layers before which DropBlock stands: behind the norm that follows the first 3x3
    /// convolution, as in timm's ResNets.
    fn drop_block_place(&self) -> usize {
        let spatial = if self.spec.kind == BlockKind::Bottleneck { 1 } else { 0 };
        let layers: Vec<_> = self.residual.branch.iter().map(|(_, layer)| layer).collect();
        let is_conv = |layer: &&LayerModule| layer.as_conv().is_some();
        let is_norm =
            |layer: &&LayerModule| matches!(layer, LayerModule::Norm(_) | LayerModule::GroupNorm(_));
        let convs = layers.iter().enumerate().filter(|(_, layer)| is_conv(layer));
        let conv = convs.map(|(at, _)| at).nth(spatial).unwrap_or(0);
        layers.iter().skip(conv).position(is_norm).map_or(layers.len(), |norm| conv + norm + 1)
    }

    /// Sets DropBlock in its branch from now on; it trains layer by layer then.
    pub fn set_drop_block(&mut self, drop_block: Option<DropBlock>) {
        self.drop_block = drop_block;
    }

    /// `F(x)` as it enters the sum, alone.
    pub(crate) fn branch_of(&self, x: Tensor<4>, mode: Mode) -> Tensor<4> {
        self.residual.scaled(self.residual.branch.forward(x, mode), mode)
    }

    /// `S(x)`, alone; `None` in a plain block.
    pub(crate) fn shortcut_of(&self, x: Tensor<4>, mode: Mode) -> Option<Tensor<4>> {
        let from = self.residual.branch.run(0..self.fork, x, mode);
        ShortcutPath::forward(&self.residual.shortcut, from, mode)
    }
}
