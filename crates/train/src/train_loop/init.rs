//! Initial weights: random, or those that another training has made.

use std::path::Path;

use burn::tensor::Device;
use residual_arch::{HeadPart, LayerPath, TensorPath};
use residual_nn::{Init, ResNet, ResNetConfig};
use residual_weights::{Architecture, Model, Weights};

use crate::Error;
use crate::train_loop::prepare::Prepared;
use crate::train_loop::transfer::{from_model, to_model};
use crate::train_loop::whiten::whitened;

/// Head that was not taken over from the weights to begin with, because it is for other classes or not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplacedHead {
    /// Classes of the head in the file; 0 for a backbone without a head.
    pub found: usize,
    /// Classes of the new head, whose weights are random.
    pub classes: usize,
}

/// Network at its beginning.
pub(crate) struct Initial {
    pub(crate) network: ResNet,
    pub(crate) replaced_head: Option<ReplacedHead>,
    /// Remarks on the weights for a user.
    pub(crate) remarks: Vec<String>,
}

/// Network at its beginning: random by the recipe's seed (its first convolution whitening, where asked for), or with the weights of a `model` or of the recipe's `init`,
/// and with its frozen layers.
pub(crate) fn initial(prepared: &Prepared, model: Option<Model>, device: &Device) -> Result<Initial, Error> {
    let Prepared { recipe, spec, .. } = prepared;
    let random = ResNetConfig::new(spec.clone()).init(Init::new(recipe.seed, device))?;
    let mut initial = match (model, &recipe.init) {
        (Some(model), _) => take_over(model, random, device)?,
        (None, Some(path)) => load(path, random, device)?,
        (None, None) => {
            let network = if recipe.whiten_stem { whitened(random, prepared)? } else { random };
            Initial { network, replaced_head: None, remarks: Vec::new() }
        }
    };
    recipe.freeze_for_epoch(&mut initial.network, 0)?;
    Ok(initial)
}

/// Weights of a file in place of the network's own.
fn load(path: &Path, network: ResNet, device: &Device) -> Result<Initial, Error> {
    let spec = network.spec().clone();
    let mut state = residual_weights::read(path)?;
    // A checkpoint of a run has the optimiser's tensors beside the network's.
    state.split_prefix("optimiser.")?;
    let network_of_file = Architecture::from(&spec);
    let model = Model::of_weights(Weights::Plain(state), Some(&network_of_file)).map_err(Error::from);
    model.and_then(|model| take_over(model, network, device)).map_err(|cause| Error::Init {
        path: path.to_owned(),
        model: spec.name,
        cause: Box::new(cause),
    })
}

/// Weights of a model in place of the network's own, its head excepted where the model's has another number of
/// classes.
fn take_over(model: Model, network: ResNet, device: &Device) -> Result<Initial, Error> {
    model.require_float32()?;
    let remarks = model.notes();
    let spec = network.spec();
    let found = if model.has_head() { model.spec().head.classes } else { 0 };
    let classes = spec.head.classes;
    let replaced = (found != classes).then_some(ReplacedHead { found, classes });
    let is_kept = |path: TensorPath| replaced.is_none() || path.layer != LayerPath::Head(HeadPart::Linear);
    // A head that is replaced may hold anything.
    model.check_values(is_kept)?;
    let own = to_model(&network)?.into_tensors().filter(|(path, _)| !is_kept(*path));
    let kept = model.into_tensors().filter(|(path, _)| is_kept(*path));
    let model = Model::new(spec.check(spec.input)?, kept.chain(own))?;
    Ok(Initial { network: from_model(model, device)?, replaced_head: replaced, remarks })
}
