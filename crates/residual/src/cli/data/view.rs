//! What a training would do to images: preprocessing and augmentation.

use std::path::Path;

use residual::arch::families::family;
use residual::arch::{NetSpec, Preprocess, TaskKind};
use residual::data::{Augment, Fit, Mix};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::cli::failure::Outcome;
use crate::cli::{network, recipes};

/// View that a network has of images.
pub(super) struct View {
    /// Name of the network.
    pub(super) network: String,
    /// Task of the recipe, or of the network where that has one of its own.
    pub(super) task: TaskKind,
    pub(super) preprocess: Preprocess,
    /// Augmentation of training images.
    pub(super) augment: Vec<Augment>,
    /// Mixing of the images of a batch.
    pub(super) mix: Option<Mix>,
}

impl View {
    /// View of the network and recipe that are named, as training by them would settle it.
    pub(super) fn of(recipe: Option<&Path>, model: Option<&str>) -> Outcome<Self> {
        let mut recipe = recipe.map(recipes::given).transpose()?.unwrap_or_default();
        match model {
            Some(model) if is_weights(model) => {
                let spec = network::open(Path::new(model), None, None)?.spec().clone();
                recipe.preprocess = Some(Fit::preprocess(&spec));
                (recipe.model, recipe.network) = (None, Some(spec));
            }
            // As in training, a preprocessing that the recipe has stays.
            Some(model) => (recipe.model, recipe.network) = (None, Some(network::specification(model)?)),
            None => {}
        }
        let of_network = recipe.network.as_ref().map(|network| network.task.kind());
        let task = of_network.filter(|task| !task.is_single_label()).unwrap_or(recipe.task);
        // Nothing of this depends on the classes, on the number of images, or on what is frozen.
        let classes = ["0", "1"].map(String::from);
        recipe.network = recipe.network.map(|network| network.with_classes(classes.len()));
        recipe.freeze.clear();
        let (settled, spec) = recipe.settle(&classes, usize::MAX)?;
        let augment = settled.augment.unwrap_or_default();
        Ok(Self { network: spec.name, task, preprocess: spec.preprocess, augment, mix: settled.mix })
    }
}

/// Name of an augmentation, as recipes have it.
pub(super) fn name(augment: &Augment) -> String {
    let kind = written(augment).remove("kind");
    kind.as_ref().and_then(Value::as_str).unwrap_or("augmentation").to_owned()
}

/// Parameters of an augmentation, as recipes have them, numbers to three figures.
pub(super) fn parameters(augment: &Augment) -> Vec<String> {
    listed(written(augment))
}

/// Parameters of mixing, likewise.
pub(super) fn mix_parameters(mix: &Mix) -> Vec<String> {
    listed(written(mix))
}

fn listed(written: Map<String, Value>) -> Vec<String> {
    let written = written.into_iter().filter(|(name, _)| name != "kind");
    written.map(|(name, value)| format!("{name} {}", shown(&value))).collect()
}

fn written(part: &impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(part) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Number(number) => match number.as_f64() {
            Some(float) if !number.is_u64() => format!("{}", (float * 1e3).round() / 1e3),
            _ => number.to_string(),
        },
        Value::Array(values) => values.iter().map(shown).collect::<Vec<_>>().join(" "),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// True for a file of weights or the folder of a run. What is called as a family member is that one, whatever else there
/// is of that name.
fn is_weights(model: &str) -> bool {
    let path = Path::new(model);
    let ends =
        path.extension().is_some_and(|found| WEIGHTS.iter().any(|end| found.eq_ignore_ascii_case(end)));
    ends || (path.exists() && !NetSpec::is_file_name(model) && family(model).is_err())
}

/// Endings of files of weights.
const WEIGHTS: [&str; 5] = ["safetensors", "pth", "pt", "th", "bin"];
