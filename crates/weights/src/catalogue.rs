//! Telling a network by its tensors.

use std::collections::BTreeMap;

use residual_arch::families::{all, family};
use residual_arch::names::{TensorName, names};
use residual_arch::{Naming, NetSpec};

use crate::matching::is_batch_counter;
use crate::state_dict::StateDict;
use crate::tensor::Tensor;

/// The schemes of names, the commonest first.
const SCHEMES: [Naming; 4] = [Naming::Torchvision, Naming::Timm, Naming::Cifar, Naming::Sequential];

/// The most blocks in the first stage of a CIFAR network that is recognised: ten times those of the deepest that was
/// ever published.
const DEEPEST: usize = 2000;

/// The network that tensors belong to, as [`recognise`] tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recognised {
    /// The family member's name, as [`residual_arch::families::family`] takes it.
    pub model: String,
    /// The scheme of the tensors' names.
    pub naming: Naming,
    /// Number of classes of the head.
    pub classes: usize,
}

/// The family member whose tensors have exactly these names and shapes, up to the number of classes.
///
/// Networks that differ in no tensor (a plain CIFAR network and the residual one with parameter-free
/// shortcuts; two strides) cannot be told apart; the residual one is named.
///
/// ```
/// use residual_arch::{Naming, families::family, names::names};
/// use residual_weights::{StateDict, Tensor, recognise};
///
/// let tensors = names(&family("cifar_resnet20")?, Naming::Cifar).into_iter().map(|tensor| {
///     let count = tensor.shape.iter().product();
///     Ok((tensor.name, Tensor::new(tensor.shape, vec![0.0; count])?))
/// });
/// let state = StateDict::from_tensors(tensors.collect::<Result<Vec<_>, residual_weights::Error>>()?)?;
/// let found = recognise(&state).unwrap();
/// assert_eq!((found.model.as_str(), found.naming, found.classes), ("cifar_resnet20", Naming::Cifar, 10));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn recognise(state: &StateDict) -> Option<Recognised> {
    let shapes: BTreeMap<&str, &[usize]> = state
        .iter()
        .filter(|(name, _)| !is_batch_counter(name))
        .map(|(name, tensor)| (name, tensor.shape()))
        .collect();
    let fixed = all().into_iter().map(str::to_owned);
    fixed.chain(of_any_depth(&shapes)).find_map(|model| {
        let spec = family(&model).ok()?;
        if residual_arch::tensors(&spec).len() != shapes.len() {
            return None;
        }
        let (naming, classes) =
            SCHEMES.into_iter().find_map(|naming| Some((naming, classes(&spec, naming, &shapes)?)))?;
        Some(Recognised { model, naming, classes })
    })
}

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

/// The number of classes of the head, where all other tensors are those of `spec`.
fn classes(spec: &NetSpec, naming: Naming, shapes: &BTreeMap<&str, &[usize]>) -> Option<usize> {
    let tensors = names(spec, naming);
    let is_head = |tensor: &&TensorName| tensor.path.starts_with("head.linear.");
    let head = tensors.iter().find(is_head)?;
    let classes = *shapes.get(head.name.as_str())?.first()?;
    let agrees = |tensor: &TensorName| {
        shapes.get(tensor.name.as_str()).is_some_and(|&found| match is_head(&tensor) {
            true => found.first() == Some(&classes) && found[1..] == tensor.shape[1..],
            false => found == tensor.shape,
        })
    };
    tensors.iter().all(agrees).then_some(classes)
}

/// The members of the CIFAR families that have as many blocks in their first stage as `shapes` has.
fn of_any_depth(shapes: &BTreeMap<&str, &[usize]>) -> Vec<String> {
    let first_stage = |name: &str| {
        let rest = ["layer1.", "stages.0.blocks.", "stage1."].iter().find_map(|p| name.strip_prefix(p))?;
        rest.split('.').next()?.parse::<usize>().ok()
    };
    let last = shapes.keys().filter_map(|name| first_stage(name)).max();
    // An index beyond the number of tensors belongs to no network.
    let Some(n) = last.filter(|&last| last < shapes.len().min(DEEPEST)).map(|last| last + 1) else {
        return Vec::new();
    };
    let width = shapes.iter().find(|(name, shape)| first_stage(name) == Some(0) && shape.len() == 4);
    let factor = width.map_or(1, |(_, shape)| shape[0] / 16);
    let (basic, bottleneck) = (6 * n + 2, 9 * n + 2);
    vec![
        format!("cifar_resnet{basic}"),
        format!("cifar_resnet{basic}_b"),
        format!("cifar_preact{basic}"),
        format!("cifar_preact{basic}_basic"),
        format!("cifar_preact{bottleneck}"),
        format!("cifar_preact{bottleneck}_bottleneck"),
        format!("wrn_{}_{factor}", basic + 2),
    ]
}
