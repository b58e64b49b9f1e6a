//! Images as callers have them.

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use residual_data::{Fit, Image, MAX_FILE_BYTES, Source, decode};
use residual_files::escaped;
use residual_weights::Tensor;

use crate::{Error, PreparedImage};

/// An image to be answered about.
///
/// Everything but a tensor is brought to what the network takes: decoded, resized and cropped as its preprocessing
/// says (where that takes images as they are, one of another size than the network's input is resized, shorter side,
/// and its centre cut out), and normalised.
///
/// | from | is |
/// | --- | --- |
/// | `&str`, `String`, `&Path`, `PathBuf` | the path of an image file: JPEG, PNG, WebP, BMP, GIF, TIFF, `.npy` |
/// | `&[u8]`, `Vec<u8>` | the bytes of such a file |
/// | `Image`, `&Image` | pixels |
/// | `image::DynamicImage`, `image::RgbImage` (feature `image`) | pixels; alpha is left out |
/// | `Tensor`, `&Tensor` | normalised values, `[channels, height, width]`, taken as they are |
/// | `(Arc<dyn Source>, usize)` | an image of labelled ones, by its place |
/// | `PreparedImage` | an image that was prepared before ([`Classifier::prepare_image`](crate::Classifier::prepare_image)) |
/// | `Result` of any of them | the same, or an error that takes the image's place among the answers |
#[derive(Debug)]
#[non_exhaustive]
pub enum Input<'a> {
    /// The path of an image file.
    File(Cow<'a, Path>),
    /// The bytes of an image file.
    Bytes(Cow<'a, [u8]>),
    /// Pixels.
    Image(Cow<'a, Image>),
    /// Normalised values, `[channels, height, width]`.
    Tensor(Cow<'a, Tensor>),
    /// An image of labelled ones: read and decoded with those ahead of the network, and named as its source names it.
    Sourced(SourceImage),
    /// An image that was decoded and brought to size before.
    Prepared(Box<PreparedImage>),
    /// An image that its source could not give.
    Failed(Box<dyn std::error::Error + Send + Sync>),
}

/// Image of a [`Source`], by its place.
#[derive(Clone)]
pub struct SourceImage {
    source: Arc<dyn Source>,
    index: usize,
}

impl fmt::Debug for SourceImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourceImage").field("index", &self.index).finish_non_exhaustive()
    }
}

/// An image as the network takes it.
#[derive(Debug)]
pub(crate) struct Ready {
    /// The image in answers and errors: its file, or its place.
    pub(crate) name: String,
    pub(crate) file: Option<PathBuf>,
    pub(crate) pixels: Pixels,
}

/// The values of an image.
#[derive(Debug)]
pub(crate) enum Pixels {
    /// Resized and cropped, not yet normalised.
    Image(Image),
    /// `[channels, height, width]`, normalised; with the image where it was one, of more than 8 bits.
    Tensor(Tensor, Option<Image>),
}

impl Pixels {
    /// Pixels of an image that was fitted: those of more than 8 bits are normalised at once.
    fn of(image: Image, fit: &Fit) -> Self {
        if image.values().is_none() {
            return Self::Image(image);
        }
        let shape = [image.channels(), image.height(), image.width()];
        let mut values = Vec::with_capacity(shape.iter().product());
        fit.normalise(&image, &mut values);
        // As many values as the shape says.
        match Tensor::new(shape.to_vec(), values) {
            Ok(tensor) => Self::Tensor(tensor, Some(image)),
            Err(_) => Self::Image(image),
        }
    }
}

impl Ready {
    /// `[height, width]`
    pub(crate) fn size(&self) -> [usize; 2] {
        match &self.pixels {
            Pixels::Image(image) => [image.height(), image.width()],
            Pixels::Tensor(tensor, _) => tensor.shape().last_chunk().copied().unwrap_or_default(),
        }
    }

    /// True where two images can go through the network together.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        let is_tensor = |ready: &Self| matches!(ready.pixels, Pixels::Tensor(..));
        self.size() == other.size() && is_tensor(self) == is_tensor(other)
    }
}

impl Input<'_> {
    /// Decodes the image and brings it to what the network takes; `name` is that of images without a file.
    pub(crate) fn ready(self, fit: &Fit, channels: usize, name: &dyn Fn() -> String) -> Result<Ready, Error> {
        let (name, file, image) = match self {
            Self::File(path) => {
                let name = path.to_str().map_or_else(|| escaped(path.as_ref()).to_string(), str::to_owned);
                let read = residual_files::read(&path, MAX_FILE_BYTES);
                let bytes = read.map_err(|reason| Error::Read { name: name.clone(), reason })?;
                let image = decode(&bytes, &name)?;
                (name, Some(path.into_owned()), image)
            }
            Self::Bytes(bytes) => {
                let name = name();
                let image = decode(&bytes, &name)?;
                (name, None, image)
            }
            Self::Image(image) => (name(), None, image.into_owned()),
            Self::Tensor(tensor) => return tensor_ready(tensor.into_owned(), channels, name()),
            Self::Sourced(SourceImage { source, index }) => (source.file(index), None, source.image(index)?),
            Self::Prepared(prepared) => return Ok(prepared.into_ready()),
            Self::Failed(error) => return Err(Error::Source(error)),
        };
        let pixels = Pixels::of(fit.fit(image, &name)?, fit);
        Ok(Ready { name, file, pixels })
    }
}

fn tensor_ready(tensor: Tensor, channels: usize, name: String) -> Result<Ready, Error> {
    match tensor.shape() {
        &[found, _, _] | &[1, found, _, _] if found == channels => {
            Ok(Ready { name, file: None, pixels: Pixels::Tensor(tensor, None) })
        }
        shape => Err(Error::TensorShape { name, shape: shape.to_vec(), channels }),
    }
}

impl<'a> From<&'a str> for Input<'a> {
    fn from(path: &'a str) -> Self {
        Self::File(Cow::Borrowed(path.as_ref()))
    }
}

impl From<String> for Input<'_> {
    fn from(path: String) -> Self {
        Self::File(Cow::Owned(path.into()))
    }
}

impl<'a> From<&'a String> for Input<'a> {
    fn from(path: &'a String) -> Self {
        Self::File(Cow::Borrowed(path.as_ref()))
    }
}

impl<'a> From<&'a Path> for Input<'a> {
    fn from(path: &'a Path) -> Self {
        Self::File(Cow::Borrowed(path))
    }
}

impl From<PathBuf> for Input<'_> {
    fn from(path: PathBuf) -> Self {
        Self::File(Cow::Owned(path))
    }
}

impl<'a> From<&'a PathBuf> for Input<'a> {
    fn from(path: &'a PathBuf) -> Self {
        Self::File(Cow::Borrowed(path))
    }
}

impl<'a> From<&'a [u8]> for Input<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::Bytes(Cow::Borrowed(bytes))
    }
}

impl From<Vec<u8>> for Input<'_> {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(Cow::Owned(bytes))
    }
}

impl<'a> From<&'a Vec<u8>> for Input<'a> {
    fn from(bytes: &'a Vec<u8>) -> Self {
        Self::Bytes(Cow::Borrowed(bytes))
    }
}

impl From<Image> for Input<'_> {
    fn from(image: Image) -> Self {
        Self::Image(Cow::Owned(image))
    }
}

impl<'a> From<&'a Image> for Input<'a> {
    fn from(image: &'a Image) -> Self {
        Self::Image(Cow::Borrowed(image))
    }
}

impl From<(Arc<dyn Source>, usize)> for Input<'_> {
    fn from((source, index): (Arc<dyn Source>, usize)) -> Self {
        Self::Sourced(SourceImage { source, index })
    }
}

impl From<Tensor> for Input<'_> {
    fn from(tensor: Tensor) -> Self {
        Self::Tensor(Cow::Owned(tensor))
    }
}

impl<'a> From<&'a Tensor> for Input<'a> {
    fn from(tensor: &'a Tensor) -> Self {
        Self::Tensor(Cow::Borrowed(tensor))
    }
}

impl From<PreparedImage> for Input<'_> {
    fn from(image: PreparedImage) -> Self {
        Self::Prepared(Box::new(image))
    }
}

impl<'a, T, E> From<Result<T, E>> for Input<'a>
where
    T: Into<Input<'a>>,
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    fn from(image: Result<T, E>) -> Self {
        image.map_or_else(|error| Self::Failed(error.into()), Into::into)
    }
}

#[cfg(feature = "image")]
mod of_image {
    use image::{DynamicImage, GrayImage, RgbImage};
    use residual_data::Image;

    use super::Input;

    impl From<RgbImage> for Input<'_> {
        fn from(image: RgbImage) -> Self {
            let (width, height) = image.dimensions();
            pixels(width, height, 3, image.into_raw())
        }
    }

    impl From<&RgbImage> for Input<'_> {
        fn from(image: &RgbImage) -> Self {
            image.clone().into()
        }
    }

    impl From<GrayImage> for Input<'_> {
        fn from(image: GrayImage) -> Self {
            let (width, height) = image.dimensions();
            pixels(width, height, 1, image.into_raw())
        }
    }

    impl From<DynamicImage> for Input<'_> {
        fn from(image: DynamicImage) -> Self {
            Image::try_from(image).map_or_else(|error| Input::Failed(error.into()), Into::into)
        }
    }

    impl From<&DynamicImage> for Input<'_> {
        fn from(image: &DynamicImage) -> Self {
            image.clone().into()
        }
    }

    fn pixels(width: u32, height: u32, channels: usize, raw: Vec<u8>) -> Input<'static> {
        match Image::new(width as usize, height as usize, channels, raw) {
            Ok(image) => image.into(),
            Err(error) => Input::Failed(error.into()),
        }
    }
}
