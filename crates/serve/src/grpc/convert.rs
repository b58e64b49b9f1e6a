//! Messages as requests of the protocol, answers as messages.

use serde_json::Value;

use super::messages::{
    Choice, InferInputTensor, InferOutputTensor, InferTensorContents, ModelInferRequest, ModelInferResponse,
    ModelMetadataResponse, ParameterMap, TensorMetadata,
};
use crate::model::Loaded;
use crate::protocol::{
    InferRequest, InputData, InputTensor, ModelMetadata, Output, Parameters, RequestedOutput, Values,
    pictures,
};
use crate::rejection::Rejection;

/// A request, checked against the network's input.
pub(super) fn request(message: ModelInferRequest, network: [usize; 3]) -> Result<InferRequest, Rejection> {
    let ModelInferRequest { id, parameters: all, inputs, outputs, raw_input_contents: raw, .. } = message;
    if !raw.is_empty() && raw.len() != inputs.len() {
        return Err(Rejection::Malformed(format!(
            "{} raw contents for {} inputs; expected one for each, or none",
            raw.len(),
            inputs.len()
        )));
    }
    let mut raw = raw.into_iter();
    let inputs = inputs.into_iter().map(|input| {
        let InferInputTensor { name, datatype, shape, contents, .. } = input;
        let data = match raw.next() {
            Some(bytes) => InputData::Raw(bytes),
            None => data(contents.unwrap_or_default(), &datatype),
        };
        InputTensor { name, shape, datatype, data }
    });
    let pictures = pictures(inputs.collect(), network)?;
    let requested = outputs
        .into_iter()
        .map(|output| RequestedOutput { name: output.name, parameters: parameters(output.parameters) });
    let outputs = requested.collect();
    Ok(InferRequest { id: Some(id), parameters: parameters(all), pictures, outputs })
}

/// Values in the list of a tensor's type.
fn data(contents: InferTensorContents, datatype: &str) -> InputData {
    let InferTensorContents { uint_contents, fp32_contents, bytes_contents } = contents;
    match datatype {
        "BYTES" => InputData::Elements(bytes_contents),
        "UINT8" => InputData::Json(Values::Numbers(uint_contents.into_iter().map(f64::from).collect())),
        _ => InputData::Json(Values::Numbers(fp32_contents.into_iter().map(f64::from).collect())),
    }
}

fn parameters(map: ParameterMap) -> Parameters {
    let value = |choice| match choice {
        Choice::Bool(value) => Value::from(value),
        Choice::Int64(value) => Value::from(value),
        Choice::Text(value) => Value::from(value),
        Choice::Double(value) => Value::from(value),
        Choice::Uint64(value) => Value::from(value),
    };
    map.into_iter().filter_map(|(name, parameter)| Some((name, value(parameter.choice?)))).collect()
}

/// The answer, its values as raw contents.
pub(super) fn response(model: &Loaded, request: InferRequest, outputs: &[Output]) -> ModelInferResponse {
    let described = outputs.iter().map(|output| InferOutputTensor {
        name: output.name.to_owned(),
        datatype: output.datatype().to_owned(),
        // Sizes of what is in memory.
        shape: output.shape.iter().map(|&size| size as i64).collect(),
        parameters: ParameterMap::new(),
        contents: None,
    });
    ModelInferResponse {
        model_name: model.name.clone(),
        model_version: model.version.to_string(),
        id: request.id.unwrap_or_default(),
        parameters: ParameterMap::new(),
        outputs: described.collect(),
        raw_output_contents: outputs.iter().map(Output::bytes).collect(),
    }
}

pub(super) fn metadata(model: ModelMetadata) -> ModelMetadataResponse {
    let tensors = |tensors: Vec<crate::protocol::TensorMetadata>| {
        let tensor = |tensor: crate::protocol::TensorMetadata| TensorMetadata {
            name: tensor.name.to_owned(),
            datatype: tensor.datatype.to_owned(),
            shape: tensor.shape,
        };
        tensors.into_iter().map(tensor).collect()
    };
    let ModelMetadata { name, versions, platform, inputs, outputs } = model;
    let (inputs, outputs) = (tensors(inputs), tensors(outputs));
    ModelMetadataResponse { name, versions, platform: platform.to_owned(), inputs, outputs }
}
