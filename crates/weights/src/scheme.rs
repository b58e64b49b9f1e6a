//! The scheme that names tensors.

use residual_arch::names::names;
use residual_arch::{Naming, NetSpec};

use crate::recognise::SCHEMES;
use crate::state_dict::StateDict;
use crate::tensor::Tensor;

/// The scheme that names most of the network's tensors in `state`; the network's own where several do.
pub fn scheme(spec: &NetSpec, state: &StateDict) -> Naming {
    let named =
        |naming| names(spec, naming).iter().filter(|tensor| state.get(&tensor.name).is_some()).count();
    let mut best = (named(spec.naming), spec.naming);
    for naming in SCHEMES {
        let found = named(naming);
        if found > best.0 {
            best = (found, naming);
        }
    }
    best.1
}

/// The network with as many classes as the head in `state` has, whichever scheme names it.
pub fn with_classes_of(spec: NetSpec, state: &StateDict) -> NetSpec {
    let naming = scheme(&spec, state);
    let bias = names(&spec, naming).into_iter().find(|tensor| tensor.path == "head.linear.bias");
    match bias.and_then(|bias| state.get(&bias.name)).map(Tensor::shape) {
        Some(&[classes]) if classes > 0 => spec.with_classes(classes),
        _ => spec,
    }
}
