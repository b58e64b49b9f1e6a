//! The path beside the branch.

use burn::module::Module;
use burn::tensor::Tensor;
use residual_arch::{BlockPart, BlockSpec, Layer, Order, Shortcut as ShortcutSpec};

use crate::{Error, Init, Layers, Mode, ShortcutPath};

/// Shortcut, `S` in `y = act(F(x) + S(x))`: none, the identity, a projection, or a subsampled and
/// zero-padded copy (He et al. 2015, section 3.3; ResNet-D's average pool, He et al. 2019).
#[derive(Module, Debug)]
pub struct Shortcut {
    /// Layers: `shortcut.conv` and `shortcut.norm` of a projection among them; an identity has none.
    pub layers: Layers,
    /// False in a plain block.
    #[module(skip)]
    exists: bool,
}

impl Shortcut {
    /// Builds the shortcut of a block in `order` alone, for an input of `in_channels`.
    ///
    /// # Errors
    /// If a number is zero, or channels of zeros would have to be taken away.
    pub fn new(
        spec: ShortcutSpec,
        order: Order,
        in_channels: usize,
        init: impl Into<Init>,
    ) -> Result<Self, Error> {
        let channels = spec.channels(in_channels).unwrap_or(in_channels);
        let stride = spec.stride().unwrap_or(1);
        let block = BlockSpec::basic(channels).with(|block| {
            block.shortcut = spec;
            block.order = order;
            block.stride = stride;
        });
        let block = crate::error::check_block(&block, in_channels)?;
        Self::build(block.layers(), &init.into())
    }

    /// The shortcut of a checked block with these layers.
    pub(crate) fn build(block: &[Layer], init: &Init) -> Result<Self, Error> {
        let exists = block.iter().any(|layer| layer.path().block_part() == Some(BlockPart::Add));
        Ok(Self { layers: Layers::new(block.iter().filter(|layer| is_shortcut(layer)), init)?, exists })
    }
}

/// True for a layer of a shortcut.
pub(crate) fn is_shortcut(layer: &Layer) -> bool {
    matches!(layer.path().block_part(), Some(BlockPart::Shortcut(_)))
}

impl ShortcutPath<4> for Shortcut {
    /// # Shapes
    /// `[batch, in, h, w]` to `[batch, channels, ceil(h / stride), ceil(w / stride)]`.
    fn forward(&self, x: Tensor<4>, mode: Mode) -> Option<Tensor<4>> {
        self.exists.then(|| self.layers.forward(x, mode))
    }
}
