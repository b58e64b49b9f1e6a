//! Descriptions of models.

use serde::Serialize;

use crate::model::Loaded;

/// Name of the engine, as the protocol's `platform`.
pub(crate) const PLATFORM: &str = "residual";

/// Description of a model.
#[derive(Debug, Serialize)]
pub(crate) struct ModelMetadata {
    pub(crate) name: String,
    pub(crate) versions: Vec<String>,
    pub(crate) platform: &'static str,
    pub(crate) inputs: Vec<TensorMetadata>,
    pub(crate) outputs: Vec<TensorMetadata>,
}

/// Description of a tensor; -1 for a dimension of any size.
#[derive(Debug, Serialize)]
pub(crate) struct TensorMetadata {
    pub(crate) name: &'static str,
    pub(crate) datatype: &'static str,
    pub(crate) shape: Vec<i64>,
}

fn tensor(name: &'static str, datatype: &'static str, shape: &[i64]) -> TensorMetadata {
    TensorMetadata { name, datatype, shape: shape.to_vec() }
}

impl ModelMetadata {
    pub(crate) fn of(model: &Loaded, versions: Vec<String>) -> Self {
        // Far below what an i64 holds.
        let [channels, height, width] = model.input().map(|size| size as i64);
        let inputs = vec![
            tensor("tensor", "FP32", &[-1, channels, height, width]),
            tensor("pixels", "UINT8", &[-1, -1, -1, channels]),
            tensor("encoded", "BYTES", &[-1]),
        ];
        let classes = model.outputs() as i64;
        let mut outputs = Vec::new();
        if model.classifier.model().has_head() {
            outputs.push(tensor("logits", "FP32", &[-1, classes]));
            let second = if model.has_probabilities() { "probabilities" } else { "values" };
            outputs.push(tensor(second, "FP32", &[-1, classes]));
        }
        outputs.push(tensor("embedding", "FP32", &[-1, model.classifier.embedding_length() as i64]));
        Self { name: model.name.clone(), versions, platform: PLATFORM, inputs, outputs }
    }
}
