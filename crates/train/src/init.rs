//! Beginning with weights that another training has made.

use std::path::Path;

use burn::tensor::Device;
use residual_arch::{HeadPart, LayerPath, NetSpec, TensorPath};
use residual_nn::{Init, ResNet, ResNetConfig};
use residual_weights::{Model, with_classes_of};

use crate::transfer::{from_model, to_model};
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
    let init = |cause: Error| Error::Init {
        path: path.to_owned(),
        model: spec.name.clone(),
        cause: Box::new(cause),
    };
    let mut state = residual_weights::read(path)?;
    // A checkpoint of a run has the optimiser's tensors beside the network's.
    state.split_prefix("optimiser.")?;
    let theirs = with_classes_of(spec.clone(), &state);
    let found = theirs.head.classes;
    let model = Model::from_state_dict(&theirs, state).map_err(|error| init(error.into()))?;
    let replaced = (found != spec.head.classes).then_some(ReplacedHead { found, classes: spec.head.classes });
    let is_kept = |path: TensorPath| replaced.is_none() || path.layer != LayerPath::Head(HeadPart::Linear);
    // A head that is replaced may hold anything.
    model.check_values(is_kept).map_err(|error| init(error.into()))?;
    let own = to_model(&network)?.into_tensors().filter(|(path, _)| !is_kept(*path));
    let kept = model.into_tensors().filter(|(path, _)| is_kept(*path));
    let model = Model::new(spec.check(spec.input)?, kept.chain(own))?;
    Ok((from_model(model, device)?, replaced))
}
