//! Beginning with weights that another training has made.

use std::path::Path;

use burn::tensor::Device;
use residual_arch::{NetSpec, names::names};
use residual_nn::{Init, ResNet, ResNetConfig};
use residual_weights::{StateDict, check_values, scheme};

use crate::transfer::{from_state_dict, to_state_dict};
use crate::{Error, Recipe};

/// A head that was not taken over from `init`, because it tells other classes apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplacedHead {
    /// Classes of the head in the file.
    pub found: usize,
    /// Classes of the new head, whose weights are random.
    pub classes: usize,
}

/// The network at its beginning: random by the recipe's seed, or with the weights of `init`, and with its
/// frozen layers.
pub(crate) fn initial(
    recipe: &Recipe,
    spec: &NetSpec,
    device: &Device,
) -> Result<(ResNet, Option<ReplacedHead>), Error> {
    let mut network = ResNetConfig::new(spec.clone()).init(Init::new(recipe.seed, device))?;
    let mut replaced = None;
    if let Some(path) = &recipe.init {
        (network, replaced) = load(path, network, device)?;
    }
    network.freeze_layers(&recipe.freeze)?;
    Ok((network, replaced))
}

/// The weights of a file in place of the network's own, its head excepted where the file's has another number
/// of classes.
fn load(path: &Path, network: ResNet, device: &Device) -> Result<(ResNet, Option<ReplacedHead>), Error> {
    let spec = network.spec().clone();
    let mut state = residual_weights::read(path)?;
    // A checkpoint of a run has the optimiser's tensors beside the network's.
    state.split_prefix("optimiser.")?;
    let replaced = replace_head(&network, &mut state)?;
    // After the head: one that is replaced may hold anything.
    let finite = check_values(state.names(), &state).map_err(Error::from);
    let loaded = finite.and_then(|()| from_state_dict(&spec, state, device));
    loaded.map(|network| (network, replaced)).map_err(|error| Error::Init {
        path: path.to_owned(),
        model: spec.name,
        cause: Box::new(error),
    })
}

/// Puts the network's own head into `state` where that has one for another number of classes.
fn replace_head(network: &ResNet, state: &mut StateDict) -> Result<Option<ReplacedHead>, Error> {
    let spec = network.spec();
    let own = to_state_dict(network)?;
    let own_names = names(spec, spec.naming);
    let theirs = names(spec, scheme(spec, state));
    let is_head = |path: &str| path.starts_with("head.linear.");
    let head: Vec<_> = own_names.iter().zip(&theirs).filter(|(tensor, _)| is_head(&tensor.path)).collect();
    let mut found_classes = None;
    for (_, theirs) in &head {
        let Some(found) = state.get(&theirs.name) else { return Ok(None) };
        // Only the first extent, the classes, may differ; and in weight and bias alike.
        let (Some(&classes), Some(rest)) = (found.shape().first(), found.shape().get(1..)) else {
            return Ok(None);
        };
        if theirs.shape.get(1..) != Some(rest) || found_classes.is_some_and(|other| other != classes) {
            return Ok(None);
        }
        found_classes = Some(classes);
    }
    let Some(found) = found_classes.filter(|&found| found != spec.head.classes) else { return Ok(None) };
    for (ours, theirs) in head {
        state.remove(&theirs.name);
        if let Some(tensor) = own.get(&ours.name) {
            state.insert(theirs.name.clone(), tensor.clone())?;
        }
    }
    Ok(Some(ReplacedHead { found, classes: spec.head.classes }))
}
