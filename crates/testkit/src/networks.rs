//! Networks with weights from the formula of [`crate::formula`].

use std::collections::HashMap;

use residual_arch::names::{block_names, names};
use residual_arch::{
    BlockSpec, HeadSpec, Naming, NetSpec, Preprocess, StageSpec, StemConv, StemSpec, tensors,
};
use residual_weights::{Error, Model, StateDict, Tensor};

use crate::formula;

/// The tensors of `spec`, named by its own scheme; the convolutions' are multiplied by `gain`.
///
/// Golden files have a gain of 1. The values of a network of hundreds of blocks then exceed what f32 holds,
/// which they do not with a gain of 0.7.
///
/// # Errors
/// Those of [`StateDict::insert`], which names of a network do not give.
pub fn weights(spec: &NetSpec, gain: f32) -> Result<StateDict, Error> {
    let tensor = |tensor: residual_arch::names::TensorName| {
        let mut values = formula::tensor(&tensor.name, &tensor.shape);
        if tensor.shape.len() == 4 && gain != 1.0 {
            values.iter_mut().for_each(|value| *value *= gain);
        }
        Ok((tensor.name, Tensor::new(tensor.shape, values)?))
    };
    StateDict::from_tensors(
        names(spec, spec.naming).into_iter().map(tensor).collect::<Result<Vec<_>, Error>>()?,
    )
}

/// The network `spec` with the tensors of [`weights`].
///
/// # Errors
/// Those of [`Model::from_state_dict`].
pub fn model(spec: &NetSpec, gain: f32) -> Result<Model, Error> {
    Model::from_state_dict(spec, weights(spec, gain)?)
}

/// A block of a golden file as a network of its own, for inputs of `[channels, height, width]`: its stem copies
/// the input, and its features are the block's output.
///
/// # Errors
/// Those of [`model`].
pub fn around(block: &BlockSpec, input: [usize; 3]) -> Result<Model, Error> {
    let channels = input[0];
    let spec = NetSpec::new(
        "block",
        input,
        StemSpec::new(vec![StemConv::same(channels, 1, 1)]).with(|stem| stem.bare = true),
        vec![StageSpec::new(vec![*block])],
        HeadSpec::new(2),
    )
    .with(|net| {
        net.naming = Naming::Sequential;
        net.preprocess = Preprocess::normalise_only().with(|preprocess| {
            (preprocess.mean, preprocess.std) = (vec![0.0; channels], vec![1.0; channels])
        });
    });
    let by_path: HashMap<_, _> =
        block_names(block, channels).into_iter().map(|tensor| (tensor.path, tensor.name)).collect();
    let mut state = StateDict::new();
    for (named, tensor) in names(&spec, spec.naming).into_iter().zip(tensors(&spec)) {
        let in_block = tensor.path.strip_prefix("stage1.block0.").and_then(|path| by_path.get(path));
        let values = match in_block {
            Some(name) => formula::tensor(name, &tensor.shape),
            None if tensor.path == "stem.conv0.weight" => {
                let diagonal = |i| if i % (channels + 1) == 0 { 1.0 } else { 0.0 };
                (0..channels * channels).map(diagonal).collect()
            }
            None => vec![0.0; tensor.shape.iter().product()],
        };
        state.insert(named.name, Tensor::new(named.shape, values)?)?;
    }
    Model::from_state_dict(&spec, state)
}
