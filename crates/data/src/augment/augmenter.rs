//! A list of augmentations, applied.

use residual_arch::Preprocess;

use super::draw::{Draw, SampleKey};
use super::fill::Colours;
use super::kind::Augment;
use crate::{Error, Image, Operation, Part};

/// A checked list of augmentations, ready to be applied: one alone, or all of a recipe in order.
///
/// ```
/// use residual_arch::Preprocess;
/// use residual_data::{Augment, Augmenter, Image, SampleKey};
///
/// let flip = Augment::HorizontalFlip { probability: 1.0 };
/// let augmenter = Augmenter::new(&[flip], &Preprocess::normalise_only())?;
/// let image = Image::new(2, 1, 3, vec![1, 2, 3, 4, 5, 6])?;
/// let flipped = augmenter.apply(image, SampleKey::new(7, 0, 0), "x.png")?;
/// assert_eq!(flipped.pixels(), [4, 5, 6, 1, 2, 3]);
/// # Ok::<(), residual_data::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Augmenter {
    list: Vec<Augment>,
    colours: Colours,
}

impl Augmenter {
    /// Checks the augmentations, and that they are for images of this preprocessing's channels.
    ///
    /// # Errors
    /// [`Error::InvalidOption`]; [`Error::AugmentChannels`] for one that needs other channels.
    pub fn new(list: &[Augment], preprocess: &Preprocess) -> Result<Self, Error> {
        for one in list {
            one.check()?;
            one.check_channels(preprocess.mean.len())?;
        }
        let wide = |values: &[f32]| values.iter().map(|&value| f64::from(value)).collect();
        let colours = Colours { mean: wide(&preprocess.mean), std: wide(&preprocess.std) };
        Ok(Self { list: list.to_vec(), colours })
    }

    /// True where an augmentation chooses the size of the result, in place of the preprocessing.
    pub fn sets_size(&self) -> bool {
        self.list.iter().any(Augment::sets_size)
    }

    /// Part of an image of `[height, width]` that is all that the list looks at, where its first augmentation cuts a part
    /// out.
    pub(crate) fn first_part(&self, key: SampleKey, size: [usize; 2]) -> Option<Part> {
        let Augment::RandomResizedCrop(crop) = self.list.first()? else { return None };
        let (corner, size) = crop.part(size, &mut key.stream(0));
        Some(Part { corner: corner.map(isize::unsigned_abs), size })
    }

    /// Augments an image, which has the preprocessing's channels. The result depends on the image and the key alone;
    /// `file` is named in errors.
    ///
    /// # Errors
    /// [`Error::MoreThan8Bits`] for an image of more than 8 bits that comes to an augmentation that is defined on 8 bits
    /// alone.
    pub fn apply(&self, mut image: Image, key: SampleKey, file: &str) -> Result<Image, Error> {
        for (position, one) in self.list.iter().enumerate() {
            image = one.apply(image, &mut self.draw(key, position), file)?;
        }
        Ok(image)
    }

    /// Operations that [`apply`](Self::apply) does to an image of `[height, width]`, in order, with the parameters that
    /// are drawn for it.
    ///
    /// ```
    /// use residual_arch::Preprocess;
    /// use residual_data::{Augment, Augmenter, Operation, SampleKey};
    ///
    /// let flip = Augment::HorizontalFlip { probability: 1.0 };
    /// let augmenter = Augmenter::new(&[flip], &Preprocess::normalise_only())?;
    /// assert_eq!(augmenter.operations([32, 32], SampleKey::new(7, 0, 0)), [Operation::HorizontalFlip]);
    /// # Ok::<(), residual_data::Error>(())
    /// ```
    pub fn operations(&self, mut size: [usize; 2], key: SampleKey) -> Vec<Operation> {
        let mut all = Vec::new();
        for (position, one) in self.list.iter().enumerate() {
            let operations = one.operations(size, &mut self.draw(key, position));
            size = operations.iter().fold(size, |size, operation| operation.result_size(size));
            all.extend(operations);
        }
        all
    }

    fn draw(&self, key: SampleKey, position: usize) -> Draw<'_> {
        Draw { random: key.stream(position), colours: &self.colours }
    }
}
