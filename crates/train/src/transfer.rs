//! A network's tensors to and from the names that files have.

use std::collections::HashMap;

use burn::tensor::Device;
use residual_arch::names::{TensorName, names};
use residual_arch::{NetSpec, tensors};
use residual_nn::{NamedTensor, ResNet, ResNetConfig};
use residual_weights::{StateDict, Tensor, match_tensors, scheme};

use crate::Error;

/// The network's tensors under their names in files, those of its own scheme ([`NetSpec::naming`]).
///
/// # Errors
/// [`Error::Weights`], which a network that was built cannot give.
pub fn to_state_dict(network: &ResNet) -> Result<StateDict, Error> {
    let spec = network.spec();
    let mut by_path: HashMap<String, NamedTensor> =
        network.state().into_iter().map(|tensor| (tensor.path.clone(), tensor)).collect();
    let mut state = StateDict::new();
    for TensorName { path, name, shape } in names(spec, spec.naming) {
        if let Some(tensor) = by_path.remove(&path) {
            state.insert(name, Tensor::new(shape, tensor.values)?)?;
        }
    }
    Ok(state)
}

/// The network `spec` with the tensors of a file, whichever scheme names them.
///
/// # Errors
/// [`Error::Weights`] with all that is missing, unexpected or misshapen; [`Error::Nn`] for a specification
/// that is not sound.
pub fn from_state_dict(spec: &NetSpec, state: StateDict, device: &Device) -> Result<ResNet, Error> {
    let tensors = canonical(spec, state)?;
    Ok(ResNetConfig::new(spec.clone()).init_with(tensors, device)?)
}

/// The tensors under their canonical paths, if they are exactly the network's.
fn canonical(spec: &NetSpec, mut state: StateDict) -> Result<Vec<NamedTensor>, Error> {
    let expected = names(spec, scheme(spec, &state));
    let in_file: Vec<_> = expected.iter().map(|tensor| (tensor.name.clone(), tensor.shape.clone())).collect();
    match_tensors(&in_file, &state)?;
    let shapes: HashMap<_, _> = tensors(spec).into_iter().map(|tensor| (tensor.path, tensor.shape)).collect();
    let take = |TensorName { path, name, .. }| {
        let values = state.remove(&name)?.into_parts().1;
        // A file may hold the linear layer as a 1x1 convolution: the same values in the same order.
        let shape = shapes.get(&path)?.clone();
        Some(NamedTensor { path, shape, values })
    };
    Ok(expected.into_iter().filter_map(take).collect())
}
