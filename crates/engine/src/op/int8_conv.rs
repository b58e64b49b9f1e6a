//! Convolution of bytes with what follows in the same pass: `y = act(W x + b + residual)`, as bytes or floats.

use std::sync::Arc;

use residual_arch::{Convolution, LayerPath};
use residual_kernels::int8::{self, Operands, Output, Residual, ResidualValues, Weights};
use residual_kernels::{Cpu, Error as KernelError, Layout};

use super::{Executable, Join, Operation, OperationMemory, Prepared, Site, conv_shape};
use crate::graph::Elements;
use crate::quantised::{MapScale, QuantConv};
use crate::steps::StepKind;

/// A convolution in 8 bits.
#[derive(Clone, Debug)]
pub(crate) struct Int8Conv {
    pub(crate) conv: Convolution,
    pub(crate) norm: Option<LayerPath>,
    pub(crate) relu: bool,
    pub(crate) weights: Arc<QuantConv>,
    /// Scale of the input.
    pub(crate) input: MapScale,
    pub(crate) residual: Option<Elements>,
    pub(crate) output: Elements,
}

impl Int8Conv {
    /// Factor of the sums of each output channel.
    fn factor(&self) -> Vec<f32> {
        self.weights.scale.iter().map(|scale| self.input.scale * scale).collect()
    }
}

impl Operation for Int8Conv {
    fn padding(&self) -> usize {
        self.conv.padding
    }

    fn step(&self) -> StepKind {
        StepKind::Conv { conv: self.conv, norm: self.norm, relu: self.relu }
    }

    fn weight_bytes(&self) -> usize {
        self.weights.weights.len()
    }

    fn prepare(&self, site: &Site<'_>) -> Result<Prepared, KernelError> {
        let (from, to) = (site.maps.input, site.maps.output);
        let shape = conv_shape(&self.conv, [from.height(), from.width()], from.batch());
        let narrow = int8::is_narrow(&self.weights.weights);
        let kernel = int8::Conv::new(site.cpu, shape, from, to, narrow)?;
        let (op, residual, path) = (self.clone(), site.maps.residual, site.path);
        Ok(Prepared::with_weights(0, move |packer| {
            let factor = op.factor();
            let weights = Weights {
                values: &op.weights.weights,
                factor: &factor,
                bias: &op.weights.bias,
                zero: op.input.zero,
            };
            let packed = packer.packed_int8(&kernel, &weights, path)?;
            let join = Join { residual, relu: op.relu };
            let Int8Conv { residual, output, .. } = op;
            Ok(Box::new(PackedInt8Conv { kernel, packed, join, residual, output }))
        }))
    }
}

/// An [`Int8Conv`] with its weights.
#[derive(Debug)]
struct PackedInt8Conv {
    kernel: int8::Conv,
    packed: Arc<int8::Packed>,
    join: Join,
    residual: Option<Elements>,
    output: Elements,
}

impl Executable for PackedInt8Conv {
    fn kernel(&self) -> String {
        let floats = if self.output == Elements::Floats { " to float32" } else { "" };
        self.join.describe(format_args!("int8 {}{floats}", self.kernel.dot()))
    }

    fn operations(&self) -> f64 {
        let shape = self.kernel.shape();
        shape.operations().map_or(0.0, |operations| operations / shape.batch as f64)
    }

    fn run(&self, cpu: &Cpu, memory: OperationMemory<'_>) -> Result<(), KernelError> {
        let OperationMemory { x, residual, y, .. } = memory;
        let added = |(values, layout): (_, Layout)| Residual { values: self.added(values), layout };
        let residual = residual.zip(self.join.residual).map(added);
        let operands = Operands { x: int8::bytes(x), weights: &self.packed, residual, relu: self.join.relu };
        let output = match self.output.scale() {
            Some(MapScale { scale, zero }) => Output::Bytes(int8::bytes_mut(y), scale, zero),
            None => Output::Floats(y),
        };
        self.kernel.forward(cpu, &operands, output)
    }
}

impl PackedInt8Conv {
    /// The map that is added.
    fn added<'a>(&self, values: &'a [f32]) -> ResidualValues<'a> {
        match self.residual.and_then(Elements::scale) {
            Some(MapScale { scale, zero }) => ResidualValues::Bytes(int8::bytes(values), scale, zero),
            None => ResidualValues::Floats(values),
        }
    }
}
