//! Pictures as requests bring them.

use axum::body::Bytes;
use residual_data::Image;
use residual_predict::{Classifier, PreparedImage};
use residual_weights::Tensor;

use crate::rejection::Rejection;

/// A picture of a request. Its bytes are those of the body.
#[derive(Clone, Debug)]
pub(crate) enum Picture {
    /// The bytes of an image file.
    File(Bytes),
    /// Pixels, `[height][width][channels]`.
    Pixels { size: [usize; 3], bytes: Bytes },
    /// Normalised values, `[channels][height][width]`.
    Tensor { shape: [usize; 3], values: Vec<f32> },
}

impl Picture {
    /// Decodes the picture and brings it to what the network takes.
    pub(crate) fn prepare(self, classifier: &Classifier) -> Result<PreparedImage, Rejection> {
        let malformed = |error: &dyn std::fmt::Display| Rejection::Image(error.to_string());
        match self {
            Self::File(bytes) => Ok(classifier.prepare_image(&bytes[..])?),
            Self::Pixels { size: [height, width, channels], bytes } => {
                let image = Image::new(width, height, channels, bytes.into());
                Ok(classifier.prepare_image(image.map_err(|error| malformed(&error))?)?)
            }
            Self::Tensor { shape, values } => {
                let tensor = Tensor::new(shape.to_vec(), values);
                Ok(classifier.prepare_image(tensor.map_err(|error| malformed(&error))?)?)
            }
        }
    }
}
