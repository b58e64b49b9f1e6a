//! Tensors by path as they are found.

use residual_arch::{Convolution, Field, LayerPath, TensorPath};
use residual_weights::Tensor;

use super::norm::NormTensors;
use crate::import::piece::Conv;

/// Tensors by path as they are found.
#[derive(Default)]
pub(super) struct Tensors(pub(super) Vec<(TensorPath, Tensor)>);

impl Tensors {
    /// Puts a tensor down; its elements have been counted.
    pub(super) fn put(
        &mut self,
        layer: LayerPath,
        field: Field,
        shape: &[usize],
        elements: &[f32],
    ) -> Result<(), String> {
        let tensor =
            Tensor::new(shape.to_vec(), elements.to_vec()).map_err(|error| format!("{layer}: {error}"))?;
        self.0.push((layer.tensor(field), tensor));
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
