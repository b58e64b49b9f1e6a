//! Requests, read and checked.

use axum::body::Bytes;
use serde_json::Value;

use super::binary;
use super::input::{InputData, InputTensor, pictures};
use super::json::{Parameters, RequestBody, RequestedOutput};
use crate::picture::Picture;
use crate::rejection::Rejection;

/// A request, checked against the network's input.
#[derive(Debug)]
pub(crate) struct InferRequest {
    pub(crate) id: Option<String>,
    pub(crate) parameters: Parameters,
    pub(crate) pictures: Vec<Picture>,
    pub(crate) outputs: Vec<RequestedOutput>,
}

/// Kind of a picture in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PictureKind {
    /// An image file, `encoded`.
    File,
    /// Pixels, `pixels`.
    Pixels,
    /// Normalised values, `tensor`.
    Tensor,
}

/// Pictures of a request's body, and the number of bytes or values of each: the reader of the service, for tests that
/// give it any bytes. `header_length` is that of the JSON object before binary tensors, `network` is `[channels, height,
/// width]`.
///
/// # Errors
/// The message of the answer with status 400.
pub fn read_infer_request(
    body: Vec<u8>,
    header_length: Option<usize>,
    network: [usize; 3],
) -> Result<Vec<(PictureKind, usize)>, String> {
    let request = read(&Bytes::from(body), header_length, network).map_err(|error| error.to_string())?;
    let kind = |picture: &Picture| match picture {
        Picture::File(bytes) => (PictureKind::File, bytes.len()),
        Picture::Pixels { bytes, .. } => (PictureKind::Pixels, bytes.len()),
        Picture::Tensor { values, .. } => (PictureKind::Tensor, values.len()),
    };
    Ok(request.pictures.iter().map(kind).collect())
}

/// Reads a request: JSON, with binary tensors behind it where `header_length` says so.
pub(crate) fn read(
    body: &Bytes,
    header_length: Option<usize>,
    network: [usize; 3],
) -> Result<InferRequest, Rejection> {
    let (json, mut rest) = binary::split(body, header_length)?;
    let request: RequestBody = serde_json::from_slice(&json)
        .map_err(|error| Rejection::Malformed(format!("the request's JSON: {error}")))?;
    let mut inputs = Vec::with_capacity(request.inputs.len());
    for input in request.inputs {
        let size = input.parameters.get("binary_data_size");
        let data = match (size, input.data) {
            (None, Some(values)) => InputData::Json(values),
            (Some(size), None) => {
                let size = size.as_u64().and_then(|size| usize::try_from(size).ok()).ok_or_else(|| {
                    Rejection::Malformed(format!("input `{}`: binary_data_size {size}", input.name))
                })?;
                InputData::Raw(binary::take(&mut rest, size, &input.name)?)
            }
            (None, None) => {
                return Err(Rejection::Malformed(format!(
                    "input `{}`: neither data nor binary_data_size",
                    input.name
                )));
            }
            (Some(_), Some(_)) => {
                return Err(Rejection::Malformed(format!(
                    "input `{}`: both data and binary_data_size",
                    input.name
                )));
            }
        };
        let (name, shape, datatype) = (input.name, input.shape, input.datatype);
        inputs.push(InputTensor { name, shape, datatype, data });
    }
    if !rest.is_empty() {
        return Err(Rejection::Malformed(format!("{} bytes behind the last input", rest.len())));
    }
    let pictures = pictures(inputs, network)?;
    let (id, parameters, outputs) = (request.id, request.parameters, request.outputs);
    Ok(InferRequest { id, parameters, pictures, outputs })
}

/// True where a parameter says so.
pub(crate) fn is_set(parameters: &Parameters, name: &str) -> bool {
    parameters.get(name).and_then(Value::as_bool).unwrap_or(false)
}
