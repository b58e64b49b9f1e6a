//! Options of an import.

use std::fmt;

use residual_arch::{IMAGENET_MEAN, IMAGENET_STD};

/// Options of an import.
///
/// ```
/// use residual_onnx::{ImportOptions, InputScale};
///
/// let keras = ImportOptions::default().with(|options| options.input = InputScale::Caffe);
/// assert_eq!(keras.size, 224);
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ImportOptions {
    /// Scale of the graph's input, where the file does not say: graphs take numbers, and images were made into them
    /// before.
    pub input: InputScale,
    /// Height and width of the input, where the graph leaves them free.
    pub size: usize,
    /// Name of the network; left out, that of a family member that computes the same, or the file's.
    pub name: Option<String>,
}

/// Scale of the numbers that a graph takes for pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum InputScale {
    /// RGB, normalised by ImageNet's means and deviations: torchvision, timm, MXNet.
    #[default]
    Imagenet,
    /// RGB from 0 to 1.
    Unit,
    /// RGB from -1 to 1: TensorFlow's.
    Symmetric,
    /// RGB from 0 to 255.
    Bytes,
    /// BGR from 0 to 255, less the means 103.939, 116.779 and 123.68: Caffe's, and Keras' for ResNet.
    Caffe,
}

impl Default for ImportOptions {
    fn default() -> Self {
        Self { input: InputScale::Imagenet, size: 224, name: None }
    }
}

impl ImportOptions {
    /// Changes fields.
    pub fn with<R>(mut self, change: impl FnOnce(&mut Self) -> R) -> Self {
        change(&mut self);
        self
    }
}

impl InputScale {
    /// Mean and standard deviation of each channel in RGB, on the scale 0 to 1, that make these numbers of pixels.
    pub(super) fn statistics(self, channels: usize) -> (Vec<f32>, Vec<f32>) {
        let of = |three: [f32; 3]| match channels {
            3 => three.to_vec(),
            _ => vec![three.iter().sum::<f32>() / 3.0; channels],
        };
        match self {
            Self::Imagenet => (of(IMAGENET_MEAN), of(IMAGENET_STD)),
            Self::Unit => (of([0.0; 3]), of([1.0; 3])),
            Self::Symmetric => (of([0.5; 3]), of([0.5; 3])),
            Self::Bytes => (of([0.0; 3]), of([1.0 / 255.0; 3])),
            Self::Caffe => (of([123.68 / 255.0, 116.779 / 255.0, 103.939 / 255.0]), of([1.0 / 255.0; 3])),
        }
    }
}

impl fmt::Display for InputScale {
    /// `ImageNet's means and deviations`, `Caffe's means (BGR)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Imagenet => "ImageNet's means and deviations",
            Self::Unit => "pixels from 0 to 1",
            Self::Symmetric => "pixels from -1 to 1",
            Self::Bytes => "pixels from 0 to 255",
            Self::Caffe => "Caffe's means (BGR, 0 to 255)",
        })
    }
}
