//! Conversion between modules and models.

use burn::tensor::Device;
use residual_arch::{Naming, TensorPath};
use residual_nn::{NamedTensor, ResNet, ResNetConfig};
use residual_weights::{Model, StateDict, Tensor};

use crate::Error;

/// Model of a network: its tensors as they are now, by path.
///
/// # Errors
/// [`Error::Weights`], which a network that was built cannot give.
pub fn to_model(network: &ResNet) -> Result<Model, Error> {
    let spec = network.spec();
    let checked = spec.check(spec.input)?;
    let mut tensors = Vec::new();
    for NamedTensor { path, shape, values } in network.state() {
        let unknown = |error| residual_weights::Error::from(residual_arch::Error::from(error));
        tensors.push((path.parse::<TensorPath>().map_err(unknown)?, Tensor::new(shape, values)?));
    }
    Ok(Model::new(checked, tensors)?)
}

/// Tensors of a network under the names of a scheme, as files have them.
///
/// # Errors
/// Those of [`to_model`].
pub fn to_state_dict(network: &ResNet, naming: Naming) -> Result<StateDict, Error> {
    Ok(to_model(network)?.into_state_dict(naming)?)
}

/// Network of a model on a device.
///
/// # Errors
/// [`Error::Nn`] for a network that cannot be built there; [`Error::Weights`] for one in 8 bits.
pub fn from_model(model: Model, device: &Device) -> Result<ResNet, Error> {
    model.require_float32()?;
    let spec = model.spec().clone();
    let tensors = model.into_tensors().map(|(path, tensor)| {
        let (shape, values) = tensor.into_parts();
        NamedTensor { path: path.to_string(), shape, values }
    });
    Ok(ResNetConfig::new(spec).init_with(tensors, device)?)
}
