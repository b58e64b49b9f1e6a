//! Images that a quantisation is fitted to.

use crate::error::Error;

/// Normalised images of one size, `[images][channels][height][width]`.
#[derive(Clone, Debug)]
pub struct CalibrationImages {
    size: [usize; 2],
    each: usize,
    values: Vec<f32>,
}

impl CalibrationImages {
    /// No images yet, of `[channels, height, width]`.
    ///
    /// ```
    /// use residual_quantize::CalibrationImages;
    /// let mut images = CalibrationImages::new([3, 2, 2]);
    /// images.push(&[0.0; 12])?;
    /// assert_eq!(images.len(), 1);
    /// assert!(images.push(&[0.0; 11]).is_err());
    /// # Ok::<(), residual_quantize::Error>(())
    /// ```
    pub fn new([channels, height, width]: [usize; 3]) -> Self {
        Self { size: [height, width], each: channels * height * width, values: Vec::new() }
    }

    /// Adds an image, normalised as the network takes it, channel by channel.
    ///
    /// # Errors
    /// [`Error::Image`] for one of another size.
    pub fn push(&mut self, image: &[f32]) -> Result<(), Error> {
        if image.len() != self.each {
            return Err(Error::Image { found: image.len(), expected: self.each });
        }
        self.values.extend_from_slice(image);
        Ok(())
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.values.len() / self.each.max(1)
    }

    /// True where there is none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// `[height, width]`
    pub fn size(&self) -> [usize; 2] {
        self.size
    }

    /// Images whose numbers `chosen` takes.
    pub(crate) fn part(&self, chosen: impl Fn(usize) -> bool) -> Self {
        let images = self.values.chunks_exact(self.each.max(1)).enumerate();
        let values = images.filter(|(number, _)| chosen(*number)).flat_map(|(_, image)| image).copied();
        Self { values: values.collect(), ..*self }
    }

    /// The values, at most `batch` images at a time.
    pub(crate) fn batches(&self, batch: usize) -> impl Iterator<Item = &[f32]> {
        self.values.chunks((batch * self.each).max(1))
    }
}
