//! A dense array of f32.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use crate::element::ElementType;
use crate::error::Error;
use crate::mapping::Mapping;
use crate::quantised::QuantConv;

/// A dense array of f32 in row-major order.
///
/// ```
/// use residual_weights::Tensor;
///
/// let tensor = Tensor::new(vec![2, 3], vec![0.0; 6])?;
/// assert_eq!(tensor.shape(), [2, 3]);
/// assert!(Tensor::new(vec![2, 3], vec![0.0; 5]).is_err());
/// # Ok::<(), residual_weights::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Tensor {
    shape: Vec<usize>,
    data: Data,
    /// The type of the elements in the file; `None` for tensors that come from no file.
    stored: Option<ElementType>,
}

/// Storage of a tensor's elements.
#[derive(Debug, Clone)]
pub(crate) enum Data {
    Owned(Vec<f32>),
    /// Elements in a file: `bytes` are f32 of this machine, aligned as such.
    Mapped {
        file: Mapping,
        bytes: Range<usize>,
    },
    /// Integers, which become floats when somebody asks for those.
    Int8 {
        conv: Arc<QuantConv>,
        floats: OnceLock<Vec<f32>>,
    },
}

impl Data {
    /// Integers by their scales; without scales they are what they are.
    pub(crate) fn int8(conv: Arc<QuantConv>) -> Self {
        Self::Int8 { conv, floats: OnceLock::new() }
    }

    fn elements(&self) -> &[f32] {
        match self {
            Self::Owned(elements) => elements,
            Self::Mapped { file, bytes } => bytemuck::cast_slice(&file[bytes.clone()]),
            Self::Int8 { conv, floats } => floats.get_or_init(|| floats_of(conv)),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Int8 { conv, .. } => conv.weights.len(),
            other => other.elements().len(),
        }
    }
}

fn floats_of(conv: &QuantConv) -> Vec<f32> {
    if conv.scale.is_empty() {
        return conv.weights.iter().map(|&weight| f32::from(weight)).collect();
    }
    let mut floats = vec![0.0; conv.weights.len()];
    conv.dequantise(&mut floats);
    floats
}

impl Tensor {
    /// A tensor of `shape` over `data` in row-major order. The empty shape is a scalar of one element.
    ///
    /// # Errors
    /// [`Error::WrongLength`] where the product of `shape` is not the length of `data`.
    pub fn new(shape: Vec<usize>, data: Vec<f32>) -> Result<Self, Error> {
        Self::over(shape, Data::Owned(data))
    }

    /// # Errors
    /// As for [`Tensor::new`].
    pub(crate) fn over(shape: Vec<usize>, data: Data) -> Result<Self, Error> {
        let elements = data.len();
        if element_count(&shape) != Some(elements) {
            return Err(Error::WrongLength { shape, elements });
        }
        Ok(Self { shape, data, stored: None })
    }

    /// Tensor of elements that a file holds as `element`.
    ///
    /// # Errors
    /// As for [`Tensor::new`].
    pub(crate) fn stored(shape: Vec<usize>, data: Data, element: ElementType) -> Result<Self, Error> {
        Ok(Self { stored: Some(element), ..Self::over(shape, data)? })
    }

    /// Name of the integer type, or `bool`, that the file has the elements in; `None` for floats, and for tensors
    /// that come from no file. [`match_tensors`](crate::match_tensors) takes only floats for weights.
    pub fn integers(&self) -> Option<&'static str> {
        self.stored.and_then(ElementType::whole)
    }

    /// Number format of the elements in the file, by PyTorch's name: `float32`, `bfloat16`; `None` for tensors that come
    /// from no file.
    pub fn number_format(&self) -> Option<&'static str> {
        self.stored.map(ElementType::name)
    }

    /// The extent of every dimension, outermost first.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The elements in row-major order.
    pub fn data(&self) -> &[f32] {
        self.data.elements()
    }

    /// Number of elements.
    pub fn elements(&self) -> usize {
        self.data.len()
    }

    /// Weights of a convolution in 8 bits, as the floats that they stand for, which are made when they are asked for.
    ///
    /// # Errors
    /// As for [`Tensor::new`].
    pub(crate) fn dequantised(shape: Vec<usize>, conv: Arc<QuantConv>) -> Result<Self, Error> {
        Self::stored(shape, Data::int8(conv), ElementType::I8)
    }

    /// Tensor of integers, which a file holds as int8.
    ///
    /// # Errors
    /// As for [`Tensor::new`].
    pub(crate) fn int8(shape: Vec<usize>, weights: Vec<i8>) -> Result<Self, Error> {
        let conv = QuantConv { weights, ..QuantConv::default() };
        Self::stored(shape, Data::int8(Arc::new(conv)), ElementType::I8)
    }

    /// The integers of a tensor that a file holds as int8; `None` for any other.
    pub(crate) fn as_int8(&self) -> Option<&[i8]> {
        match &self.data {
            Data::Int8 { conv, .. } if conv.scale.is_empty() => Some(&conv.weights),
            _ => None,
        }
    }

    /// The integers of a tensor that a file holds as int8; `None` for any other.
    pub(crate) fn into_int8(self) -> Option<Vec<i8>> {
        match self.data {
            Data::Int8 { conv, .. } => {
                Some(Arc::try_unwrap(conv).map_or_else(|conv| conv.weights.clone(), |conv| conv.weights))
            }
            _ => None,
        }
    }

    /// True where the elements lie in the file that they came from ([`map`](crate::map())), and not in memory of
    /// their own.
    pub fn is_mapped(&self) -> bool {
        matches!(self.data, Data::Mapped { .. })
    }

    /// Gives the memory of a mapped tensor back to the system, on Unix, until it is read again: for those that have
    /// been read for the last time. The elements stay what they are.
    pub fn release(&self) {
        if let Data::Mapped { file, bytes } = &self.data {
            file.release(bytes);
        }
    }

    /// The elements in row-major order, to be changed in place; those of a mapped file are copied first, and
    /// the file stays as it is.
    pub fn data_mut(&mut self) -> &mut [f32] {
        if !matches!(self.data, Data::Owned(_)) {
            self.data = Data::Owned(self.data().to_vec());
        }
        match &mut self.data {
            Data::Owned(elements) => elements,
            Data::Mapped { .. } | Data::Int8 { .. } => unreachable!("they were copied"),
        }
    }

    /// Tensor of another shape with the same elements in the same order, without a copy.
    ///
    /// # Errors
    /// [`Error::WrongLength`] where it does not describe as many.
    pub fn reshaped(self, shape: Vec<usize>) -> Result<Self, Error> {
        let elements = self.data.len();
        if element_count(&shape) != Some(elements) {
            return Err(Error::WrongLength { shape, elements });
        }
        Ok(Self { shape, ..self })
    }

    /// Shape and elements, without a copy unless they are mapped.
    pub fn into_parts(self) -> (Vec<usize>, Vec<f32>) {
        let elements = match self.data {
            Data::Owned(elements) => elements,
            other => other.elements().to_vec(),
        };
        (self.shape, elements)
    }
}

impl PartialEq for Tensor {
    fn eq(&self, other: &Self) -> bool {
        self.shape == other.shape && self.data() == other.data()
    }
}

/// The product of `shape`; `None` where it overflows.
pub(crate) fn element_count(shape: &[usize]) -> Option<usize> {
    // A zero anywhere makes the tensor empty, whatever the other extents are.
    if shape.contains(&0) {
        return Some(0);
    }
    shape.iter().try_fold(1usize, |product, &extent| product.checked_mul(extent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shape_must_describe_the_data() {
        assert!(Tensor::new(vec![], vec![1.0]).is_ok());
        assert!(Tensor::new(vec![0, usize::MAX, usize::MAX], vec![]).is_ok());
        let error = Tensor::new(vec![usize::MAX, 2], vec![1.0]).unwrap_err();
        assert!(matches!(error, Error::WrongLength { elements: 1, .. }));
    }
}
