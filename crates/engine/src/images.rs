//! Pixel layouts of a batch of images.

/// A batch of images, by the layout of its pixels.
///
/// Bytes are normalised by the specification's mean and deviation while they are converted, before the
/// stem's zero padding. They are not folded into the stem's weights: a mean in the bias would also be
/// subtracted where the padding is, and every output at the edge would be wrong; and the conversion from
/// bytes is a pass over the image in any case, which the normalisation does not lengthen.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Images<'a> {
    /// Interleaved bytes, `[batch][height][width][channels]`, from 0 to 255: resized and cropped, not yet normalised.
    Interleaved(&'a [u8]),
    /// Planar values, `[batch][channels][height][width]`, normalised.
    Planar(&'a [f32]),
}

impl Images<'_> {
    /// Elements.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Interleaved(bytes) => bytes.len(),
            Self::Planar(values) => values.len(),
        }
    }

    /// Images `first` to `first + count` of `each` elements.
    pub(crate) fn part(&self, first: usize, count: usize, each: usize) -> Self {
        let range = first * each..(first + count) * each;
        match self {
            Self::Interleaved(bytes) => Self::Interleaved(&bytes[range]),
            Self::Planar(values) => Self::Planar(&values[range]),
        }
    }
}
