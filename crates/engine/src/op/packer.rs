//! Packing of convolution weights for the algorithms that a plan runs.

use std::collections::HashMap;
use std::sync::Arc;

use residual_arch::{Field, LayerPath};
use residual_kernels::{Buffer, Conv, ConvWeights, Cpu, int8};

use crate::error::{Error, InLayer};
use crate::parameters::{ConvSource, Parameters};

/// Weights of a convolution packed for its algorithm, with the bias that its batch norm leaves.
#[derive(Debug)]
pub(crate) struct PackedConv {
    pub(crate) weights: ConvWeights,
    pub(crate) bias: Option<Vec<f32>>,
}

/// Standardises weights, folds batch norms into them and packs them, each convolution's once for all batch sizes.
pub(crate) struct WeightPacker<'a> {
    cpu: &'a Cpu,
    parameters: &'a Parameters<'a>,
    allow_not_finite: bool,
    /// Memory for folded weights before they are packed.
    room: Buffer,
    packed: HashMap<LayerPath, Arc<PackedConv>>,
    packed_int8: HashMap<LayerPath, Arc<int8::Packed>>,
}

impl<'a> WeightPacker<'a> {
    /// A packer for convolutions of which the largest has `largest` weights.
    pub(crate) fn new(
        cpu: &'a Cpu,
        parameters: &'a Parameters<'a>,
        largest: usize,
        allow_not_finite: bool,
    ) -> Self {
        let room = Buffer::zeroed(largest);
        Self { cpu, parameters, allow_not_finite, room, packed: HashMap::new(), packed_int8: HashMap::new() }
    }

    /// Weights of bytes, packed at the first call and shared after it.
    ///
    /// # Errors
    /// [`Error::Kernel`] where they are not the convolution's.
    pub(crate) fn packed_int8(
        &mut self,
        conv: &int8::Conv,
        weights: &int8::Weights<'_>,
        path: LayerPath,
    ) -> Result<Arc<int8::Packed>, Error> {
        if let Some(packed) = self.packed_int8.get(&path) {
            return Ok(Arc::clone(packed));
        }
        let packed = Arc::new(conv.pack(weights).in_layer(path)?);
        self.packed_int8.insert(path, Arc::clone(&packed));
        Ok(packed)
    }

    /// Weights of the convolution at `source`, with the batch norm behind it folded in. They are packed at the first
    /// call and shared after it: all batch sizes run the same algorithm.
    ///
    /// # Errors
    /// [`Error::Weights`] for values that are not finite, unless those are allowed.
    pub(crate) fn packed(&mut self, conv: &Conv, source: ConvSource) -> Result<Arc<PackedConv>, Error> {
        let path = source.path;
        if let Some(packed) = self.packed.get(&path) {
            return Ok(Arc::clone(packed));
        }
        if !self.allow_not_finite && self.parameters.quantised(path).is_none() {
            let weight = path.tensor(Field::Weight);
            self.parameters.check(|path| path == weight)?;
        }
        let (weights, bias) = self.parameters.folded(self.cpu.pool(), source, &mut self.room);
        let weights = conv.pack_on(self.cpu, weights).in_layer(path)?;
        self.parameters.release(path);
        let packed = Arc::new(PackedConv { weights, bias });
        self.packed.insert(path, Arc::clone(&packed));
        Ok(packed)
    }
}
