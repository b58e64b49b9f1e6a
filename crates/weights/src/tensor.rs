//! A dense array of f32.

use crate::error::Error;

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
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    shape: Vec<usize>,
    data: Vec<f32>,
}

impl Tensor {
    /// A tensor of `shape` over `data` in row-major order. The empty shape is a scalar of one element.
    ///
    /// # Errors
    /// [`Error::WrongLength`] where the product of `shape` is not the length of `data`.
    pub fn new(shape: Vec<usize>, data: Vec<f32>) -> Result<Self, Error> {
        if element_count(&shape) != Some(data.len()) {
            return Err(Error::WrongLength { shape, elements: data.len() });
        }
        Ok(Self { shape, data })
    }

    /// The extent of every dimension, outermost first.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The elements in row-major order.
    pub fn data(&self) -> &[f32] {
        &self.data
    }

    /// The elements in row-major order, to be changed in place.
    pub fn data_mut(&mut self) -> &mut [f32] {
        &mut self.data
    }

    /// Shape and elements, without a copy.
    pub fn into_parts(self) -> (Vec<usize>, Vec<f32>) {
        (self.shape, self.data)
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
