//! Images brought to what a network takes.

use std::sync::Arc;

use residual_arch::{NetSpec, Preprocess, Resize};

use crate::remarks::Remarks;
use crate::{Error, Image, Note, Preprocessor};

/// Fitting of any image to a network, for prediction: the network's own preprocessing, and where that takes images
/// as they are, a resize and a crop of those that are not of its size.
///
/// ```
/// use residual_data::{Fit, Image};
///
/// let fit = Fit::new(&residual_arch::families::family("small")?)?;
/// let photograph = Image::new(400, 300, 3, vec![0; 400 * 300 * 3]).unwrap();
/// let image = fit.fit(photograph, "photo.jpg")?;
/// assert_eq!([image.width(), image.height()], [32, 32]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Fit {
    /// `[height, width]` of the network's input.
    input: [usize; 2],
    own: Preprocessor,
    /// Preprocessing of images that the network does not take as they are.
    resizing: Preprocessor,
    remarks: Arc<Remarks>,
}

impl Fit {
    /// Checks the network's preprocessing.
    ///
    /// # Errors
    /// Those of [`Preprocessor::new`].
    pub fn new(spec: &NetSpec) -> Result<Self, Error> {
        let [_, height, width] = spec.input;
        let own = Preprocessor::new(&spec.preprocess)?;
        Ok(Self {
            input: [height, width],
            own,
            resizing: Preprocessor::new(&Self::preprocess(spec))?,
            remarks: Arc::default(),
        })
    }

    /// The network's own preprocessing; where that takes images as they are, with a resize and a crop to the network's
    /// input.
    pub fn preprocess(spec: &NetSpec) -> Preprocess {
        let own = spec.preprocess.clone();
        let [_, height, width] = spec.input;
        match own {
            Preprocess { resize: None, crop: None, .. } => own.with(|fitting| {
                fitting.resize = Some(match height == width {
                    true => Resize::ShorterSide(height),
                    false => Resize::Exact([height, width]),
                });
                fitting.crop = Some([height, width]);
            }),
            own => own,
        }
    }

    /// Appends the normalised values of a fitted image, channel by channel (CHW).
    pub fn normalise(&self, image: &Image, values: &mut Vec<f32>) {
        self.own.normalise(image, values);
    }

    /// Notes of what was noticed in the images so far.
    pub fn notes(&self) -> Vec<Note> {
        self.remarks.notes()
    }

    /// The image in the right channels, resized and cropped; `file` is named in errors.
    ///
    /// # Errors
    /// Those of [`Preprocessor::fit`].
    pub fn fit(&self, image: Image, file: &str) -> Result<Image, Error> {
        self.remarks.look_at(&image, file);
        let image = self.own.admit(image, file)?;
        let fits = [image.height(), image.width()] == self.input;
        let preprocessor = if fits { &self.own } else { &self.resizing };
        preprocessor.fit(image, file)
    }
}

#[cfg(test)]
mod tests {
    use residual_arch::families::family;

    use super::*;

    #[test]
    fn only_networks_without_a_size_are_given_one() {
        let small = Fit::preprocess(&family("small").unwrap());
        assert_eq!((small.resize, small.crop), (Some(Resize::ShorterSide(32)), Some([32, 32])));
        let resnet = family("resnet18").unwrap();
        assert_eq!(Fit::preprocess(&resnet), resnet.preprocess);
        let wide = family("small").unwrap().with_input([3, 16, 24]);
        assert_eq!(Fit::preprocess(&wide).resize, Some(Resize::Exact([16, 24])));
    }

    #[test]
    fn an_image_of_the_right_size_stays_as_it_is() {
        let fit = Fit::new(&family("small").unwrap()).unwrap();
        let image = Image::new(32, 32, 3, (0..3072).map(|i| (i % 251) as u8).collect()).unwrap();
        assert_eq!(fit.fit(image.clone(), "x").unwrap().pixels(), image.pixels());
        let grey = Image::new(64, 48, 1, vec![7; 64 * 48]).unwrap();
        let fitted = fit.fit(grey, "x").unwrap();
        assert_eq!((fitted.width(), fitted.height(), fitted.channels()), (32, 32, 3));
    }
}
