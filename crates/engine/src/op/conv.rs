//! Convolution with folded batch norm, residual addition and ReLU: `y = act(W x + b + residual)`.

use std::sync::Arc;

use residual_arch::{Convolution, LayerPath};
use residual_kernels::{Conv, ConvShape, Cpu, Epilogue, Error as KernelError, MapsRef};

use super::packer::PackedConv;
use super::{Executable, Join, Operation, OperationMemory, Prepared, Site};
use crate::parameters::ConvSource;
use crate::steps::StepKind;

/// A convolution, its weights standardised where they are to be and the batch norm behind it folded into them, and
/// what follows in the same pass.
#[derive(Debug)]
pub(crate) struct FusedConv {
    pub(crate) conv: Convolution,
    /// Path of the folded batch norm.
    pub(crate) norm: Option<LayerPath>,
    pub(crate) relu: bool,
}

impl Operation for FusedConv {
    fn padding(&self) -> usize {
        self.conv.padding
    }

    fn convolution(&self) -> Option<&Convolution> {
        Some(&self.conv)
    }

    fn step(&self) -> StepKind {
        StepKind::Conv { conv: self.conv, norm: self.norm, relu: self.relu }
    }

    fn prepare(&self, site: &Site<'_>) -> Result<Prepared, KernelError> {
        let (cpu, from, to) = (site.cpu, site.maps.input, site.maps.output);
        let shape = conv_shape(&self.conv, [from.height(), from.width()], from.batch());
        let conv = Box::new(match site.algorithm {
            Some(algorithm) => Conv::with_algorithm(cpu, shape, from, to, algorithm)?,
            None => Conv::new(cpu, shape, from, to)?,
        });
        let join = Join { residual: site.maps.residual, relu: self.relu };
        let source = ConvSource { path: site.path, kind: self.conv.kind, norm: self.norm };
        Ok(Prepared::with_weights(conv.workspace(cpu), move |packer| {
            let packed = packer.packed(&conv, source)?;
            Ok(Box::new(PackedFusedConv { conv, packed, join }))
        }))
    }
}

/// A [`FusedConv`] with its weights.
#[derive(Debug)]
struct PackedFusedConv {
    conv: Box<Conv>,
    packed: Arc<PackedConv>,
    join: Join,
}

impl Executable for PackedFusedConv {
    fn kernel(&self) -> String {
        self.join.describe(self.conv.algorithm())
    }

    fn operations(&self) -> f64 {
        let shape = self.conv.shape();
        shape.operations().map_or(0.0, |operations| operations / shape.batch as f64)
    }

    fn run(&self, cpu: &Cpu, memory: OperationMemory<'_>) -> Result<(), KernelError> {
        let OperationMemory { x, residual, y, workspace } = memory;
        let epilogue = Epilogue {
            scale: None,
            shift: self.packed.bias.as_deref(),
            residual: residual.zip(self.join.residual).map(|(values, layout)| MapsRef::new(values, layout)),
            relu: self.join.relu,
        };
        self.conv.forward(cpu, x, &self.packed.weights, &epilogue, None, y, workspace)
    }
}

/// The sizes of a convolution on `batch` maps of `size`, `[height, width]`.
pub(crate) fn conv_shape(conv: &Convolution, size: [usize; 2], batch: usize) -> ConvShape {
    ConvShape {
        batch,
        in_channels: conv.in_channels,
        out_channels: conv.out_channels,
        size,
        kernel: [conv.kernel; 2],
        stride: [conv.stride; 2],
        padding: [conv.padding; 2],
        dilation: [1; 2],
        groups: conv.groups,
    }
}
