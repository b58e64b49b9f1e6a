//! A block as the kernels see it.

use residual_arch::{Order, Shortcut as ShortcutSpec};
use residual_kernels::block::{BlockShape, Link, Order as KernelOrder, Shortcut as KernelShortcut};

use super::Block;
use crate::fused::{Path, Unit};
use crate::{Compute, Maps, Mode};

impl Block {
    /// Trains as `compute` says from now on.
    pub fn set_compute(&mut self, compute: Compute) {
        self.compute = compute;
    }

    /// The border that its first convolution makes use of.
    pub(crate) fn border(&self) -> usize {
        match (self.spec.order, self.residual.branch.convs.first()) {
            (Order::PostActivation, Some(conv)) => conv.padding,
            _ => 0,
        }
    }

    /// What the kernels run in place of the layers; `None` where the layers have to.
    pub(super) fn fused(&self, x: &Maps, mode: Mode) -> Option<Unit<'_>> {
        let (branch, shortcut) = (&self.residual.branch, &self.residual.shortcut);
        let bypassed = branch.norms.iter().any(|norm| norm.bypassed);
        if self.compute.path == Path::Stock || bypassed || !x.are_ours() {
            return None;
        }
        Some(Unit {
            shape: self.kernel_shape()?,
            convs: &branch.convs,
            norms: &branch.norms,
            projection: shortcut.conv.as_ref().map(|conv| (conv, shortcut.norm.as_ref())),
            squeeze: branch.se.as_ref(),
            depth: self.residual.factors(mode, x.dims()[0]).filter(|_| !self.spec.is_plain()),
            policy: self.compute.memory.policy(),
        })
    }

    fn kernel_shape(&self) -> Option<BlockShape> {
        let convs = self.spec.convolutions(self.in_channels);
        let padded = convs.iter().all(|conv| conv.padding == conv.kernel / 2);
        let shortcut = match self.spec.shortcut {
            ShortcutSpec::None => KernelShortcut::None,
            ShortcutSpec::Identity => KernelShortcut::Identity,
            ShortcutSpec::Projection { average_pool: true, stride, .. } if stride > 1 => {
                KernelShortcut::PooledProjection { stride }
            }
            ShortcutSpec::Projection { stride, .. } => KernelShortcut::Projection { stride },
            ShortcutSpec::ZeroPad { stride, .. } => KernelShortcut::ZeroPad { stride },
        };
        let order = match self.spec.order {
            Order::PostActivation => KernelOrder::PostActivation,
            Order::PreActivation => KernelOrder::PreActivation,
        };
        let link = |conv: &residual_arch::Convolution| Link {
            out_channels: conv.out_channels,
            kernel: conv.kernel,
            stride: conv.stride,
            groups: conv.groups,
        };
        let squeeze = self.spec.squeeze_excite;
        padded.then(|| BlockShape { links: convs.iter().map(link).collect(), shortcut, order, squeeze })
    }
}
