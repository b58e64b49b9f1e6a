//! Networks with weights from the formula.

use residual_arch::NetSpec;
use residual_arch::names::names;
use residual_testkit::formula;
use residual_weights::{StateDict, Tensor};

/// The tensors of `spec`, named by its own scheme.
pub(crate) fn weights(spec: &NetSpec) -> StateDict {
    let tensors = names(spec, spec.naming).into_iter().map(|tensor| {
        let values = formula::tensor(&tensor.name, &tensor.shape);
        (tensor.name, Tensor::new(tensor.shape, values).unwrap())
    });
    StateDict::from_tensors(tensors).unwrap()
}
