//! Inputs as pictures.

use axum::body::Bytes;

use super::{base64, binary, values::Values};
use crate::picture::Picture;
use crate::rejection::Rejection;

/// An input of a request, whichever way it came.
#[derive(Debug)]
pub(crate) struct InputTensor {
    pub(crate) name: String,
    pub(crate) shape: Vec<i64>,
    pub(crate) datatype: String,
    pub(crate) data: InputData,
}

/// Values of an input.
#[derive(Debug)]
pub(crate) enum InputData {
    /// Little-endian, in one piece.
    Raw(Bytes),
    /// Elements of `BYTES`.
    Elements(Vec<Bytes>),
    Json(Values),
}

/// The most images of a request: more are a mistake of its shape.
const MOST: usize = 1 << 16;

/// Pictures of a request's inputs, of which there is one: `tensor`, `pixels` or `encoded`, told by its datatype.
/// `network` is `[channels, height, width]` of a tensor.
pub(crate) fn pictures(inputs: Vec<InputTensor>, network: [usize; 3]) -> Result<Vec<Picture>, Rejection> {
    let count = inputs.len();
    let one: Result<[InputTensor; 1], _> = inputs.try_into();
    let Ok([input]) = one else {
        return Err(Rejection::Malformed(format!(
            "{count} inputs; expected one: `tensor` (FP32), `pixels` (UINT8) or `encoded` (BYTES)"
        )));
    };
    let expected = match input.datatype.as_str() {
        "FP32" => "tensor",
        "UINT8" => "pixels",
        "BYTES" => "encoded",
        other => {
            return Err(Rejection::Malformed(format!(
                "input `{}`: datatype {other}; expected FP32, UINT8 or BYTES",
                input.name
            )));
        }
    };
    if input.name != expected {
        return Err(Rejection::Malformed(format!(
            "input `{}`: no such input; an input of {} is called `{expected}`",
            input.name, input.datatype
        )));
    }
    match expected {
        "tensor" => tensors(input, network),
        "pixels" => pixels(input),
        _ => encoded(input),
    }
}

/// Dimensions as numbers that are none beyond what a body can hold.
fn dimensions(input: &InputTensor, expected: &str) -> Result<Vec<usize>, Rejection> {
    let wrong = || {
        Rejection::Malformed(format!("input `{}`: shape {:?}; expected {expected}", input.name, input.shape))
    };
    let sizes: Option<Vec<usize>> =
        input.shape.iter().map(|&size| usize::try_from(size).ok().filter(|&size| size > 0)).collect();
    sizes.filter(|sizes| sizes.first().is_some_and(|&images| images <= MOST)).ok_or_else(wrong)
}

fn of_shape(input: &InputTensor, found: usize, wanted: usize) -> Result<(), Rejection> {
    match found == wanted {
        true => Ok(()),
        false => Err(Rejection::Malformed(format!(
            "input `{}`: {found} values; its shape {:?} has {wanted}",
            input.name, input.shape
        ))),
    }
}

fn not_in(input: &InputTensor) -> Rejection {
    Rejection::Malformed(format!("input `{}`: data of another type than {}", input.name, input.datatype))
}

fn tensors(input: InputTensor, network: [usize; 3]) -> Result<Vec<Picture>, Rejection> {
    let [channels, height, width] = network;
    let expected = format!("[images, {channels}, {height}, {width}]");
    let sizes = dimensions(&input, &expected)?;
    let [images, sizes @ ..] = &sizes[..] else { return Err(not_in(&input)) };
    if sizes != network {
        return Err(Rejection::Malformed(format!(
            "input `{}`: shape {:?}; expected {expected}",
            input.name, input.shape
        )));
    }
    let each: usize = network.iter().product();
    let wanted = images.saturating_mul(each);
    let values = match &input.data {
        InputData::Raw(bytes) => {
            of_shape(&input, bytes.len() / 4, wanted)?;
            if bytes.len() % 4 != 0 {
                return Err(not_in(&input));
            }
            binary::floats(bytes)
        }
        InputData::Json(Values::Numbers(numbers)) => numbers.iter().map(|&number| number as f32).collect(),
        _ => return Err(not_in(&input)),
    };
    of_shape(&input, values.len(), wanted)?;
    Ok(values
        .chunks_exact(each)
        .map(|values| Picture::Tensor { shape: network, values: values.to_vec() })
        .collect())
}

fn pixels(input: InputTensor) -> Result<Vec<Picture>, Rejection> {
    let expected = "[images, height, width, channels]";
    let sizes = dimensions(&input, expected)?;
    let &[images, height, width, channels] = &sizes[..] else {
        return Err(Rejection::Malformed(format!(
            "input `{}`: shape {:?}; expected {expected}",
            input.name, input.shape
        )));
    };
    let size = [height, width, channels];
    let each = size.iter().fold(1_usize, |product, &size| product.saturating_mul(size));
    let wanted = images.saturating_mul(each);
    let bytes = match &input.data {
        InputData::Raw(bytes) => bytes.clone(),
        InputData::Json(Values::Numbers(numbers)) => {
            let byte = |&number: &f64| {
                let is_byte = (0.0..=255.0).contains(&number) && number.fract() == 0.0;
                is_byte.then_some(number as u8)
            };
            let bytes: Option<Vec<u8>> = numbers.iter().map(byte).collect();
            bytes.ok_or_else(|| not_in(&input))?.into()
        }
        _ => return Err(not_in(&input)),
    };
    of_shape(&input, bytes.len(), wanted)?;
    let picture =
        |image: usize| Picture::Pixels { size, bytes: bytes.slice(image * each..(image + 1) * each) };
    Ok((0..images).map(picture).collect())
}

fn encoded(input: InputTensor) -> Result<Vec<Picture>, Rejection> {
    let sizes = dimensions(&input, "[images]")?;
    let count = sizes.iter().fold(1_usize, |product, &size| product.saturating_mul(size));
    let name = input.name.clone();
    let elements = match input.data {
        InputData::Raw(ref bytes) => binary::elements(bytes.clone(), count, &name)?,
        InputData::Elements(ref elements) => elements.clone(),
        InputData::Json(Values::Texts(ref texts)) => {
            let decoded: Option<Vec<Bytes>> =
                texts.iter().map(|text| base64::decode(text).map(Bytes::from)).collect();
            decoded.ok_or_else(|| {
                Rejection::Malformed(format!("input `{name}`: an image in JSON is written in base64"))
            })?
        }
        InputData::Json(_) => return Err(not_in(&input)),
    };
    of_shape(&input, elements.len(), count)?;
    Ok(elements.into_iter().map(Picture::File).collect())
}
