//! A block through the kernels.

use super::Block;
use crate::fused::{FusedContext, Path, Unit};
use crate::{Compute, LayerModule, Maps, Mode};

impl Block {
    /// Trains as `compute` says from now on.
    pub fn set_compute(&mut self, compute: Compute) {
        self.compute = compute;
    }

    /// Runs its fused operation in `context` from now on, where its input comes as a tensor: maps that another block
    /// gave run in that one's.
    pub fn set_context(&mut self, context: &FusedContext) {
        self.context = context.clone();
    }

    /// True where it trains layer by layer, through stock operations.
    pub(crate) fn is_stock(&self) -> bool {
        self.compute.path == Path::Stock || self.kernel_shape.is_none() || self.drop_block.is_some()
    }

    /// The border that its first layer makes use of: of a convolution its padding.
    pub(crate) fn border(&self) -> usize {
        match self.residual.branch.iter().next() {
            Some((_, LayerModule::Conv(conv))) => conv.padding,
            _ => 0,
        }
    }

    /// Operation that the kernels run in place of the layers; `None` where the layers have to.
    pub(super) fn fused(&self, x: &Maps, mode: Mode) -> Option<Unit<'_>> {
        let (branch, shortcut) = (&self.residual.branch, &self.residual.shortcut.layers);
        let bypassed = branch.norms_are_bypassed();
        let drops = mode.is_training() && self.drop_block.is_some();
        if self.compute.path == Path::Stock || bypassed || drops || !x.are_ours() {
            return None;
        }
        Some(Unit {
            shape: self.kernel_shape.clone()?,
            convs: branch.convs().collect(),
            norms: branch.norms().collect(),
            projection: shortcut.convs().next().map(|conv| (conv, shortcut.norms().next())),
            squeeze: branch.iter().find_map(|(_, layer)| match layer {
                LayerModule::SqueezeExcite(squeeze) => Some(squeeze),
                _ => None,
            }),
            depth: self.residual.factors(mode, x.dims()[0]),
            memory: self.compute.memory,
        })
    }
}
