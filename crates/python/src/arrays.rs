//! Arrays of NumPy: borrowed on their way in, handed over on their way out.

use numpy::{Element, IntoPyArray, PyArray1, PyArrayDyn, PyArrayMethods};
use pyo3::prelude::*;

use crate::error::Error;

/// Array of `shape` over the values, which are handed over.
pub(crate) fn array<'py, T: Element>(
    py: Python<'py>,
    values: Vec<T>,
    shape: &[usize],
) -> PyResult<Bound<'py, PyArrayDyn<T>>> {
    let flat: Bound<'py, PyArray1<T>> = values.into_pyarray(py);
    flat.reshape(shape.to_vec())
}

/// Error for an array whose values do not lie one after another.
pub(crate) fn not_contiguous(error: impl std::fmt::Display) -> Error {
    Error::value("array", format_args!("{error}; help: numpy.ascontiguousarray makes one that is"))
}
