//! What the files beside weights say.

use std::path::Path;

use residual_arch::{NetSpec, Preprocess};
use serde_json::Value;

use super::{timm, transformers};
use crate::error::Error;
use crate::json;
use crate::shards::is_index;

/// Names of files of weights that have descriptions beside them.
const DESCRIBED: [&str; 2] = ["model.safetensors", "pytorch_model.bin"];

/// Name of the description of a network.
const CONFIG: &str = "config.json";

/// Description of a published model.
#[derive(Debug, Default)]
pub(crate) struct Description {
    /// The network.
    pub(crate) network: Option<NetSpec>,
    /// Preprocessing, and the file that has it.
    pub(crate) preprocess: Option<(Preprocess, &'static str)>,
    /// Names of the classes, in the order of the network's outputs.
    pub(crate) classes: Option<Vec<String>>,
}

impl Description {
    /// The description beside a file of weights; `None` for files of other names, and where there is none.
    ///
    /// # Errors
    /// [`Error::Config`], naming the file, for a description that is broken or of a network that cannot be built here.
    pub(crate) fn beside(weights: &Path) -> Result<Option<Self>, Error> {
        let is_described =
            weights.file_name().is_some_and(|name| DESCRIBED.iter().any(|known| name == *known));
        let config = weights.with_file_name(CONFIG);
        if !(is_described || is_index(weights)) || !config.is_file() {
            return Ok(None);
        }
        let parsed = json::read(&config).map_err(|error| error.in_file(&config))?;
        let described = if parsed.get("architecture").is_some_and(Value::is_string) {
            timm::description(&parsed).map(Some)
        } else if parsed.get("model_type").and_then(Value::as_str) == Some("resnet") {
            transformers::description(&parsed).map(Some)
        } else {
            Ok(None)
        };
        let Some(mut described) = described.map_err(|error| error.in_file(&config))? else { return Ok(None) };
        let processor = weights.with_file_name(transformers::PROCESSOR);
        if processor.is_file() {
            let parsed = json::read(&processor).and_then(|parsed| transformers::preprocess(&parsed));
            let preprocess = parsed.map_err(|error| error.in_file(&processor))?;
            described.preprocess = Some((preprocess, transformers::PROCESSOR));
        }
        Ok(Some(described))
    }
}

/// The names in `{"0": "tench", "1": "goldfish"}`; `None` unless every class has one.
pub(super) fn names_by_number(names: Option<&Value>) -> Option<Vec<String>> {
    let names = names?.as_object()?;
    (0..names.len()).map(|class| Some(names.get(&class.to_string())?.as_str()?.to_owned())).collect()
}
