//! Data and networks as studies take them.

use std::path::Path;

use burn::tensor::Device;
use residual_arch::NetSpec;
use residual_data::{Dataset, EvaluateOptions, ImageSet, Split};
use residual_nn::{Init, ResNet, ResNetConfig};
use residual_train::{DataRecipe, Recipe};

use crate::Error;

/// Opened data.
pub(crate) struct Images {
    pub(crate) classes: Vec<String>,
    pub(crate) train: ImageSet,
    pub(crate) test: ImageSet,
}

impl Images {
    /// Images for training and judging.
    pub(crate) fn open(data: &DataRecipe) -> Result<Self, Error> {
        let set: Dataset = data.open()?;
        set.check_trainable()?;
        let (train, test) = (set.split(Split::Train)?, set.split(Split::Test)?);
        Ok(Self { classes: set.classes, train, test })
    }
}

/// A recipe with nothing left open for one network on these images, and the network.
pub(crate) fn settled(recipe: &Recipe, meant: Meant, images: &Images) -> Result<(Recipe, NetSpec), Error> {
    let recipe = match meant {
        Meant::Member(name) => {
            recipe.clone().with(|recipe| (recipe.model, recipe.network) = (Some(name), None))
        }
        Meant::Written(spec) => {
            let spec = spec.with_classes(images.classes.len());
            recipe.clone().with(|recipe| (recipe.model, recipe.network) = (None, Some(spec)))
        }
    };
    let (recipe, spec) = recipe.settle(&images.classes, images.train.len())?;
    require_single_labels(&spec)?;
    let batch = recipe.images_per_step().min(images.train.len());
    residual_train::require_memory_to_train(&spec, None, batch, &recipe)?;
    Ok((recipe, spec))
}

/// Checks that a network's task is the one that studies judge.
pub(crate) fn require_single_labels(spec: &NetSpec) -> Result<(), Error> {
    if spec.task.is_single_label() {
        return Ok(());
    }
    let kind = spec.task.kind();
    let reason =
        format!("{} is a network of {kind}, and studies judge single labels; help: give another", spec.name);
    Err(residual_train::Error::Task { field: "task", reason }.into())
}

/// A network by name or written out.
#[expect(clippy::large_enum_variant, reason = "there is one of it")]
pub(crate) enum Meant {
    Member(String),
    Written(NetSpec),
}

/// A network with random weights, on the device where it can be trained.
pub(crate) fn fresh(spec: &NetSpec, seed: u64) -> Result<ResNet, Error> {
    residual_train::require_memory_of_network(spec)?;
    Ok(ResNetConfig::new(spec.clone()).init(Init::new(seed, &Device::flex().autodiff()))?)
}

/// The name that a report calls a file by; where it lies is in `study.toml`.
pub(crate) fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
}

/// Options of judging networks.
pub(crate) fn evaluation(recipe: &Recipe) -> EvaluateOptions {
    EvaluateOptions::default().with(|options| {
        options.batch_size = recipe.eval_batch_size.unwrap_or(recipe.images_per_step());
        options.workers = recipe.workers();
        options.skip_bad = recipe.data.skip_bad;
    })
}
