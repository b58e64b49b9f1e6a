//! Triton's binary tensors: a JSON object, then the values of the tensors in its order.
//!
//! <https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md>

use axum::body::Bytes;

use crate::rejection::Rejection;

/// Number of bytes of an element's length in a tensor of `BYTES`.
const LENGTH: usize = 4;

/// Divides a body into its JSON object and its binary part; without `header_length` all of it is JSON.
pub(crate) fn split(body: &Bytes, header_length: Option<usize>) -> Result<(Bytes, Bytes), Rejection> {
    let length = header_length.unwrap_or(body.len());
    if length > body.len() {
        return Err(Rejection::Malformed(format!(
            "Inference-Header-Content-Length: {length} bytes of JSON, and the body has {}",
            body.len()
        )));
    }
    Ok((body.slice(..length), body.slice(length..)))
}

/// Takes the next `length` bytes.
pub(crate) fn take(rest: &mut Bytes, length: usize, input: &str) -> Result<Bytes, Rejection> {
    match length <= rest.len() {
        true => Ok(rest.split_to(length)),
        false => Err(Rejection::Malformed(format!(
            "input `{input}`: binary_data_size {length}, and the body has {} bytes left",
            rest.len()
        ))),
    }
}

/// Elements of a tensor of `BYTES`, each after its length in four bytes, little-endian.
pub(crate) fn elements(mut bytes: Bytes, count: usize, input: &str) -> Result<Vec<Bytes>, Rejection> {
    let malformed = |detail: String| Rejection::Malformed(format!("input `{input}`: {detail}"));
    // Each has its length at the least: a claim of more is refused before memory is taken for it.
    if count > bytes.len() / LENGTH {
        return Err(malformed(format!("{} bytes for {count} elements with their lengths", bytes.len())));
    }
    let mut elements = Vec::with_capacity(count);
    while let Some((&length, _)) = bytes.split_first_chunk::<LENGTH>() {
        let length = u32::from_le_bytes(length) as usize;
        let _ = bytes.split_to(LENGTH);
        if length > bytes.len() {
            return Err(malformed(format!(
                "element {} has {length} bytes, and {} are left",
                elements.len(),
                bytes.len()
            )));
        }
        elements.push(bytes.split_to(length));
        if elements.len() > count {
            break;
        }
    }
    match elements.len() == count && bytes.is_empty() {
        true => Ok(elements),
        false => Err(malformed(format!("its binary data are not the {count} elements of its shape"))),
    }
}

/// Values of a tensor of `FP32`, little-endian.
pub(crate) fn floats(bytes: &Bytes) -> Vec<f32> {
    bytes.as_chunks::<4>().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect()
}

/// Values as little-endian bytes.
pub(crate) fn from_floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// Texts, each after its length.
pub(crate) fn from_texts(texts: &[String]) -> Vec<u8> {
    // A class's name is short.
    texts.iter().flat_map(|text| (text.len() as u32).to_le_bytes().into_iter().chain(text.bytes())).collect()
}
