//! Tensors by path as they are found.

use residual_arch::{Convolution, Field, LayerPath, TensorPath};
use residual_files::Budget;
use residual_weights::Tensor;

use super::norm::NormTensors;
use crate::import::piece::Conv;

/// Tensors by path as they are found.
pub(super) struct Tensors {
    pub(super) found: Vec<(TensorPath, Tensor)>,
    /// Memory for them: a constant that many layers share is a tensor for each.
    budget: Budget,
}

/// Bytes of tensors beyond those of the constants that they are made of.
const MORE: u64 = 256 << 20;

impl Tensors {
    /// Room for tensors made of constants of so many bytes.
    pub(super) fn of(bytes: u64) -> Self {
        Self { found: Vec::new(), budget: Budget::new(bytes.saturating_mul(4).saturating_add(MORE)) }
    }

    /// Puts a tensor down; its elements have been counted.
    pub(super) fn put(
        &mut self,
        layer: LayerPath,
        field: Field,
        shape: &[usize],
        elements: &[f32],
    ) -> Result<(), String> {
        let charged = self.budget.charge(4 * elements.len() as u64);
        charged.map_err(|error| {
            format!("{layer}: layers that share their weights, and a copy for each {error}")
        })?;
        let tensor =
            Tensor::new(shape.to_vec(), elements.to_vec()).map_err(|error| format!("{layer}: {error}"))?;
        self.found.push((layer.tensor(field), tensor));
        Ok(())
    }

    pub(super) fn put_conv(&mut self, layer: LayerPath, conv: &Conv) -> Result<(), String> {
        let shape = Convolution::new(conv.inputs, conv.outputs, conv.window.kernel)
            .with(|shape| shape.groups = conv.groups)
            .weight();
        self.put(layer, Field::Weight, &shape, &conv.weight)
    }

    pub(super) fn put_norm(&mut self, layer: LayerPath, norm: &NormTensors) -> Result<(), String> {
        let shape = [norm.weight.len()];
        self.put(layer, Field::Weight, &shape, &norm.weight)?;
        self.put(layer, Field::Bias, &shape, &norm.bias)?;
        if let Some((mean, variance)) = &norm.statistics {
            self.put(layer, Field::RunningMean, &shape, mean)?;
            self.put(layer, Field::RunningVar, &shape, variance)?;
        }
        Ok(())
    }
}
