//! Outputs: which are asked for, and their values.

use residual_predict::Prediction;
use serde_json::Value;

use super::json::{DataBody, OutputBody, Parameters, RequestedOutput, ResponseBody};
use super::read::is_set;
use super::{InferRequest, binary};
use crate::model::Loaded;
use crate::rejection::Rejection;

/// Outputs of a request, checked.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    each: Vec<WantedOutput>,
}

#[derive(Clone, Debug)]
struct WantedOutput {
    source: Source,
    name: &'static str,
    is_binary: bool,
    /// Number of the most probable classes, in place of all values.
    classes: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Logits,
    Probabilities,
    Values,
    Embedding,
}

/// An output.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Output {
    pub(crate) name: &'static str,
    pub(crate) shape: Vec<usize>,
    pub(crate) data: OutputData,
    is_binary: bool,
}

/// Values of an output.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum OutputData {
    Floats(Vec<f32>),
    Texts(Vec<String>),
}

impl Wanted {
    /// The outputs that a request names; without names, what the head gives and means.
    pub(crate) fn of(
        model: &Loaded,
        requested: &[RequestedOutput],
        parameters: &Parameters,
    ) -> Result<Self, Rejection> {
        let available = available(model);
        let all_binary = is_set(parameters, "binary_data_output");
        if requested.is_empty() {
            let usual = available
                .iter()
                .filter(|(_, source)| *source != Source::Embedding || !model.classifier.model().has_head());
            let each = usual.map(|&(name, source)| WantedOutput {
                source,
                name,
                is_binary: all_binary,
                classes: None,
            });
            return Ok(Self { each: each.collect() });
        }
        let each = requested.iter().map(|output| {
            let found = available.iter().find(|(name, _)| *name == output.name);
            let &(name, source) = found.ok_or_else(|| {
                let names: Vec<&str> = available.iter().map(|(name, _)| *name).collect();
                Rejection::Malformed(format!(
                    "output `{}`: no such output; there are {}",
                    output.name,
                    names.join(", ")
                ))
            })?;
            let is_binary = match output.parameters.get("binary_data") {
                Some(_) => is_set(&output.parameters, "binary_data"),
                None => all_binary,
            };
            Ok(WantedOutput { source, name, is_binary, classes: classes(output, source)? })
        });
        Ok(Self { each: each.collect::<Result<_, Rejection>>()? })
    }

    /// True where the head is asked.
    pub(crate) fn predictions(&self) -> bool {
        self.each.iter().any(|output| output.source != Source::Embedding)
    }

    /// True where the embedding is asked for.
    pub(crate) fn embeddings(&self) -> bool {
        self.each.iter().any(|output| output.source == Source::Embedding)
    }
}

/// Parameter `classification` of an output.
fn classes(output: &RequestedOutput, source: Source) -> Result<Option<usize>, Rejection> {
    let Some(value) = output.parameters.get("classification") else { return Ok(None) };
    let count = value.as_u64().and_then(|count| usize::try_from(count).ok());
    match count {
        Some(0) => Ok(None),
        Some(count) if matches!(source, Source::Logits | Source::Probabilities) => Ok(Some(count)),
        _ => Err(Rejection::Malformed(format!(
            "output `{}`: classification {value}; expected a number of classes, of logits or probabilities",
            output.name
        ))),
    }
}

fn available(model: &Loaded) -> Vec<(&'static str, Source)> {
    let mut available = Vec::new();
    if model.classifier.model().has_head() {
        available.push(("logits", Source::Logits));
        available.push(match model.has_probabilities() {
            true => ("probabilities", Source::Probabilities),
            false => ("values", Source::Values),
        });
    }
    available.push(("embedding", Source::Embedding));
    available
}

/// Values of the outputs that are wanted, of as many images as there are predictions or embeddings.
pub(crate) fn outputs(wanted: &Wanted, predictions: &[Prediction], embeddings: &[Vec<f32>]) -> Vec<Output> {
    let output = |output: &WantedOutput| {
        let (name, is_binary) = (output.name, output.is_binary);
        if let Some(count) = output.classes {
            let texts: Vec<Vec<String>> =
                predictions.iter().map(|prediction| labelled(prediction, output.source, count)).collect();
            let shape = vec![texts.len(), texts.first().map_or(0, Vec::len)];
            return Output { name, shape, data: OutputData::Texts(texts.concat()), is_binary };
        }
        let rows: Vec<Vec<f32>> = match output.source {
            Source::Embedding => embeddings.to_vec(),
            source => predictions.iter().map(|prediction| row(prediction, source)).collect(),
        };
        let shape = vec![rows.len(), rows.first().map_or(0, Vec::len)];
        Output { name, shape, data: OutputData::Floats(rows.concat()), is_binary }
    };
    wanted.each.iter().map(output).collect()
}

fn row(prediction: &Prediction, source: Source) -> Vec<f32> {
    match source {
        Source::Probabilities => prediction.probabilities().iter().map(|&value| value as f32).collect(),
        Source::Values => prediction.values().map(|found| found.value as f32).collect(),
        Source::Logits | Source::Embedding => prediction.logits().to_vec(),
    }
}

/// `VALUE:INDEX:CLASS` of the most probable classes, as Triton writes them.
fn labelled(prediction: &Prediction, source: Source, count: usize) -> Vec<String> {
    let text = |score: residual_predict::ClassScore<'_>| {
        let value = match source {
            Source::Probabilities => score.probability as f32,
            _ => prediction.logits().get(score.index).copied().unwrap_or(f32::NAN),
        };
        format!("{value:.6}:{}:{}", score.index, score.class)
    };
    prediction.top(count).map(text).collect()
}

impl Output {
    pub(crate) fn datatype(&self) -> &'static str {
        match self.data {
            OutputData::Floats(_) => "FP32",
            OutputData::Texts(_) => "BYTES",
        }
    }

    /// The values as Triton's binary extension has them.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        match &self.data {
            OutputData::Floats(values) => binary::from_floats(values),
            OutputData::Texts(texts) => binary::from_texts(texts),
        }
    }
}

/// The body of an answer, and the length of its JSON object where binary tensors follow it.
pub(crate) fn write(
    model: &Loaded,
    request: &InferRequest,
    outputs: &[Output],
) -> Result<(Vec<u8>, Option<usize>), Rejection> {
    let mut tail = Vec::new();
    let body = |output| output_body(output, &mut tail);
    let outputs_written: Vec<OutputBody<'_>> = outputs.iter().map(body).collect();
    let response = ResponseBody {
        model_name: &model.name,
        model_version: model.version.to_string(),
        id: request.id.as_deref(),
        outputs: outputs_written,
    };
    let mut bytes =
        serde_json::to_vec(&response).map_err(|error| Rejection::Internal(format!("the answer: {error}")))?;
    let length = outputs.iter().any(|output| output.is_binary).then_some(bytes.len());
    bytes.append(&mut tail);
    Ok((bytes, length))
}

fn output_body<'o>(output: &'o Output, tail: &mut Vec<u8>) -> OutputBody<'o> {
    let mut parameters = Parameters::new();
    let data = if output.is_binary {
        let bytes = output.bytes();
        parameters.insert("binary_data_size".to_owned(), Value::from(bytes.len()));
        tail.extend(bytes);
        None
    } else {
        Some(match &output.data {
            OutputData::Floats(values) => DataBody::Numbers(values),
            OutputData::Texts(texts) => DataBody::Texts(texts),
        })
    };
    OutputBody { name: output.name, datatype: output.datatype(), shape: &output.shape, parameters, data }
}
