//! Batches of images as they come in.

/// A batch of images.
///
/// Bytes are normalised by the specification's mean and deviation while they are converted, before the
/// stem's zero padding. They are not folded into the stem's weights: a mean in the bias would also be
/// subtracted where the padding is, and every output at the edge would be wrong; and the conversion from
/// bytes is a pass over the image in any case, which the normalisation does not lengthen.
#[derive(Clone, Copy, Debug)]
pub enum Images<'a> {
    /// `[batch][height][width][channels]`, from 0 to 255: resized and cropped, not yet normalised.
    Bytes(&'a [u8]),
    /// `[batch][channels][height][width]`, normalised.
    Planar(&'a [f32]),
}

impl Images<'_> {
    /// Elements.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Planar(values) => values.len(),
        }
    }

    /// Images `first` to `first + count` of `each` elements.
    pub(crate) fn part(&self, first: usize, count: usize, each: usize) -> Self {
        let range = first * each..(first + count) * each;
        match self {
            Self::Bytes(bytes) => Self::Bytes(&bytes[range]),
            Self::Planar(values) => Self::Planar(&values[range]),
        }
    }
}

impl<'a> From<&'a [u8]> for Images<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::Bytes(bytes)
    }
}

impl<'a> From<&'a Vec<u8>> for Images<'a> {
    fn from(bytes: &'a Vec<u8>) -> Self {
        Self::Bytes(bytes)
    }
}

impl<'a> From<&'a [f32]> for Images<'a> {
    fn from(values: &'a [f32]) -> Self {
        Self::Planar(values)
    }
}

impl<'a> From<&'a Vec<f32>> for Images<'a> {
    fn from(values: &'a Vec<f32>) -> Self {
        Self::Planar(values)
    }
}
