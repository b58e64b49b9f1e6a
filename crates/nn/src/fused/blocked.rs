//! Maps in the kernels' layout as a tensor.

use burn::tensor::Tensor;
use residual_kernels::Layout;

use super::context::FusedContext;
use super::sound::sound;

/// `[batch][channels / 16][height + 2 border][width + 2 border][16]` of a [`Layout::blocked`].
#[derive(Clone, Debug)]
pub(crate) struct Blocked {
    pub(crate) tensor: Tensor<5>,
    pub(crate) layout: Layout,
    /// The context that they were computed in.
    pub(crate) context: FusedContext,
}

/// The layout of maps `[batch, channels, height, width]` with a border.
pub(super) fn blocked([batch, channels, height, width]: [usize; 4], border: usize) -> Layout {
    sound(Layout::blocked(batch, channels, height, width).and_then(|layout| layout.with_border(border)))
}

/// The shape of the tensor that holds such maps.
pub(super) fn shape(layout: &Layout) -> [usize; 5] {
    let padded = |side: usize| side + 2 * layout.border();
    let sides = [layout.height(), layout.width()].map(padded);
    [layout.batch(), layout.blocks(), sides[0], sides[1], layout.block()]
}

/// `channels x height x width`, for a person to read.
pub(super) fn name(layout: &Layout) -> String {
    format!("{}x{}x{}", layout.channels(), layout.height(), layout.width())
}

impl Blocked {
    /// `[batch, channels, height, width]`
    pub(crate) fn dims(&self) -> [usize; 4] {
        let layout = &self.layout;
        [layout.batch(), layout.channels(), layout.height(), layout.width()]
    }
}
