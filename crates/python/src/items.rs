//! Images as the package hands them over.

use std::path::PathBuf;

use numpy::{PyArrayDyn, PyArrayMethods, PyUntypedArrayMethods};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use residual::data::Image;
use residual::predict::Input;
use residual::weights::Tensor;

use crate::arrays::not_contiguous;
use crate::error::Error;

/// An image: a path, the bytes of a file, pixels (`uint8`, HWC) or normalised values (`float32`, CHW). What is borrowed
/// from Python is read when it is the image's turn.
pub(crate) enum Item {
    File(PathBuf),
    Bytes(PyBackedBytes),
    Pixels(Py<PyArrayDyn<u8>>),
    /// Image `1` of a stack of them, `[batch, height, width, channels]`.
    Stacked(Py<PyArrayDyn<u8>>, usize),
    Tensor(Py<PyArrayDyn<f32>>),
    /// Pixels on the scale 0 to 1, HWC: a tuple of the array alone.
    Floats(Py<PyArrayDyn<f32>>),
}

impl<'py> FromPyObject<'_, 'py> for Item {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        if let Ok(pixels) = object.cast::<PyArrayDyn<u8>>() {
            return Ok(Self::Pixels(pixels.to_owned().unbind()));
        }
        if let Ok(tensor) = object.cast::<PyArrayDyn<f32>>() {
            return Ok(Self::Tensor(tensor.to_owned().unbind()));
        }
        if let Ok((floats,)) = object.extract::<(Bound<'py, PyArrayDyn<f32>>,)>() {
            return Ok(Self::Floats(floats.unbind()));
        }
        if let Ok(bytes) = object.extract::<PyBackedBytes>() {
            return Ok(Self::Bytes(bytes));
        }
        Ok(Self::File(object.extract::<PathBuf>()?))
    }
}

impl Item {
    /// Images of a stack, `[batch, height, width, channels]`.
    pub(crate) fn of_stack(stack: &Bound<'_, PyArrayDyn<u8>>) -> Vec<Self> {
        let images = stack.shape().first().copied().unwrap_or(0);
        (0..images).map(|image| Self::Stacked(stack.clone().unbind(), image)).collect()
    }

    /// The image as a classifier takes it.
    pub(crate) fn input(self) -> Input<'static> {
        match self {
            Self::File(path) => path.into(),
            Self::Bytes(bytes) => bytes.to_vec().into(),
            Self::Pixels(pixels) => Python::attach(|py| image(pixels.bind(py), None)).into(),
            Self::Stacked(stack, at) => Python::attach(|py| image(stack.bind(py), Some(at))).into(),
            Self::Tensor(values) => Python::attach(|py| tensor(values.bind(py))).into(),
            Self::Floats(values) => Python::attach(|py| floats(values.bind(py))).into(),
        }
    }
}

/// Image of pixels, `[height, width]` or `[height, width, channels]`; that at a place of a stack.
fn image(array: &Bound<'_, PyArrayDyn<u8>>, at: Option<usize>) -> Result<Image, Error> {
    let array = array.try_readonly().map_err(|error| Error::value("array", error))?;
    let pixels = array.as_slice().map_err(not_contiguous)?;
    let shape = if at.is_some() { &array.shape()[1..] } else { array.shape() };
    let (height, width, channels) = match *shape {
        [height, width] => (height, width, 1),
        [height, width, channels] => (height, width, channels),
        _ => {
            let shape = format_args!("shape {shape:?}; expected [height, width, channels]").to_string();
            return Err(Error::value("array", shape));
        }
    };
    let each = height * width * channels;
    let first = at.unwrap_or(0) * each;
    Ok(Image::new(width, height, channels, pixels[first..first + each].to_vec())?)
}

/// Image of pixels on the scale 0 to 1, `[height, width, channels]`.
fn floats(array: &Bound<'_, PyArrayDyn<f32>>) -> Result<Image, Error> {
    let array = array.try_readonly().map_err(|error| Error::value("array", error))?;
    let values = array.as_slice().map_err(not_contiguous)?;
    let &[height, width, channels] = array.shape() else {
        let shape = format_args!("shape {:?}; expected [height, width, channels]", array.shape()).to_string();
        return Err(Error::value("array", shape));
    };
    Ok(Image::deep(width, height, channels, values.to_vec())?)
}

fn tensor(array: &Bound<'_, PyArrayDyn<f32>>) -> Result<Tensor, Error> {
    let array = array.try_readonly().map_err(|error| Error::value("array", error))?;
    let values = array.as_slice().map_err(not_contiguous)?;
    Ok(Tensor::new(array.shape().to_vec(), values.to_vec())?)
}
