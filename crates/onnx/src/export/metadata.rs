//! What the file says beside the graph.

use residual_weights::Model;
use serde::Serialize;

use super::{Answers, ExportOptions};
use crate::keys;
use crate::proto::StringStringEntryProto;

/// Keys and texts: the specification with its preprocessing and its task, the classes, the temperature, and those of
/// the caller, which do not write over others. `normalised` is the value that the network takes.
pub(super) fn metadata(
    model: &Model,
    options: &ExportOptions,
    normalised: &str,
) -> Result<Vec<StringStringEntryProto>, serde_json::Error> {
    let input = match options.preprocess {
        Some(_) => "uint8 pixels [batch, height, width, channels]; the preprocessing is in the graph",
        None => "normalised pixels [batch, channels, height, width]; see `preprocess`",
    };
    let preprocess = options.preprocess.as_ref().unwrap_or_else(|| model.preprocess());
    // The threshold of several labels is one of the probabilities that the graph gives.
    let task = match options.answers {
        Answers::Logits => model.spec().task.clone(),
        Answers::Probabilities => model.spec().task.at_temperature(model.temperature()),
    };
    let own = [
        (keys::SPEC, Some(json(model.spec())?)),
        (keys::TASK, Some(task.to_string())),
        (keys::INPUT, Some(input.to_owned())),
        (keys::NORMALISED, options.preprocess.as_ref().map(|_| normalised.to_owned())),
        (keys::PREPROCESS, Some(json(preprocess)?)),
        (keys::CLASSES, model.classes().map(json).transpose()?),
        (keys::TEMPERATURE, model.temperature().map(|temperature| temperature.to_string())),
    ];
    let is_own = |key: &str| own.iter().any(|(own, _)| *own == key);
    let others = options.metadata.iter().filter(|(key, _)| !is_own(key)).cloned();
    let entries: Vec<_> = others.map(|(key, value)| StringStringEntryProto { key, value }).collect();
    let own = own
        .into_iter()
        .filter_map(|(key, value)| Some(StringStringEntryProto { key: key.to_owned(), value: value? }));
    Ok(own.chain(entries).collect())
}

fn json<T: Serialize + ?Sized>(value: &T) -> Result<String, serde_json::Error> {
    serde_json::to_string(value)
}
