//! Models in 8 bits.

use std::sync::Arc;

use super::{Entry, Model};
use crate::error::Error;
use crate::quantised::{QuantConv, Quantised, identity_norm};
use crate::tensor::Tensor;

impl Model {
    /// Integers and scales of a network in 8 bits; `None` for a network in float32.
    pub fn quantised(&self) -> Option<&Quantised> {
        self.quantised.as_deref()
    }

    /// The model in 8 bits. The weights of its integer convolutions become the floats that the integers stand for, made
    /// when somebody asks for them, and the batch norms that are folded into those change nothing but for the bias.
    ///
    /// # Errors
    /// [`Error::Quantised`] for integers and scales that do not fit the network.
    pub fn with_quantised(self, quantised: Quantised) -> Result<Self, Error> {
        quantised.check(&self.network).map_err(|reason| Error::Quantised { reason })?;
        let mut model = self;
        for (&path, conv) in &quantised.convs {
            for entry in model.tensors.iter_mut() {
                if entry.path.layer == path || conv.norm == Some(entry.path.layer) {
                    entry.quantise(path == entry.path.layer, conv)?;
                }
            }
        }
        model.quantised = Some(Arc::new(quantised));
        Ok(model)
    }
}

impl Entry {
    /// Becomes what is left of a tensor of a convolution, or of the norm behind it, in 8 bits.
    fn quantise(&mut self, is_conv: bool, conv: &Arc<QuantConv>) -> Result<(), Error> {
        let shape = self.tensor.shape().to_vec();
        self.tensor = match is_conv {
            true => Tensor::dequantised(shape, conv.clone())?,
            false => Tensor::new(shape, identity_norm(self.path.field, &conv.bias).unwrap_or_default())?,
        };
        Ok(())
    }
}
