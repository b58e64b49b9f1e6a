//! Labelled images of any origin, as training and evaluation read them.

use std::borrow::Cow;

use residual_arch::TaskKind;

use crate::random::Use;
use crate::{ChoosePart, Error, Image, Note, Stamp};

/// Labelled images that a [`Loader`](crate::Loader), a training or an evaluation reads: the built-in [`ImageSet`](crate::ImageSet) of
/// a folder or an archive, [`LabelledImages`](crate::LabelledImages) in memory, or a program's own data.
///
/// Four methods are enough. An image is asked for by its place, by several threads at once and in any order, and must
/// be the same each time: batches, and a training that is resumed, are functions of (seed, epoch, place).
///
/// ```
/// use std::sync::Arc;
/// use residual_arch::Preprocess;
/// use residual_data::{Error, Image, Loader, LoaderOptions, Source};
///
/// /// Stripes along rows or columns, drawn when they are asked for.
/// struct Stripes([String; 2]);
///
/// impl Source for Stripes {
///     fn len(&self) -> usize {
///         100
///     }
///
///     fn classes(&self) -> &[String] {
///         &self.0
///     }
///
///     fn label(&self, index: usize) -> usize {
///         index % 2
///     }
///
///     fn image(&self, index: usize) -> Result<Image, Error> {
///         let bright = |place: usize| if (place + index) % 4 < 2 { 255 } else { 0 };
///         let pixel = |i: usize| bright(if self.label(index) == 0 { i / 8 } else { i % 8 });
///         Image::new(8, 8, 1, (0..64).map(pixel).collect())
///     }
/// }
///
/// let grey = Preprocess::normalise_only().with(|grey| (grey.mean, grey.std) = (vec![0.5], vec![0.5]));
/// let stripes = Arc::new(Stripes(["rows".into(), "columns".into()]));
/// let batch = Loader::new(stripes, LoaderOptions::evaluation(16, grey))?.next().unwrap()?;
/// assert_eq!(batch.shape, [16, 1, 8, 8]);
/// assert_eq!(batch.labels[..4], [0, 1, 0, 1]);
/// # Ok::<(), Error>(())
/// ```
pub trait Source: Send + Sync {
    /// Number of images.
    fn len(&self) -> usize;

    /// Names of the classes, in which a label is a place; or of the targets of a regression.
    fn classes(&self) -> &[String];

    /// Label of image `index`; of several the first, and 0 where there is none.
    fn label(&self, index: usize) -> usize;

    /// Pixels of image `index`, before preprocessing. All images have the channels of the network, or are grey or
    /// RGB.
    ///
    /// # Errors
    /// [`Error::Source`] with the program's own error; those of [`Image::new`] and [`decode`](crate::decode()).
    fn image(&self, index: usize) -> Result<Image, Error>;

    /// Task that the images are labelled for. Default: single label.
    fn task(&self) -> TaskKind {
        TaskKind::SingleLabel
    }

    /// Targets of image `index`, one for each of the [`classes`](Self::classes): 1 for a class that it has and 0 for
    /// others, or numbers in their units. Default: 1 for its label.
    fn targets(&self, index: usize) -> Vec<f64> {
        one_hot(self.label(index), self.classes().len())
    }

    /// Pixels of image `index`, or at least of the part of it that `choose` asks for, as
    /// [`decode_part`](crate::decode_part) gives them. Default: the whole image.
    ///
    /// # Errors
    /// Those of [`image`](Self::image).
    fn image_part(&self, index: usize, choose: &ChoosePart<'_>) -> Result<Image, Error> {
        let _ = choose;
        self.image(index)
    }

    /// True where there is no image.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// True where [`image`](Self::image) is a copy of pixels in memory, so that keeping it decoded
    /// ([`CachePlan`](crate::CachePlan)) would save nothing. Default: false.
    fn is_in_memory(&self) -> bool {
        false
    }

    /// Notes of what was noticed in the images that were read so far.
    fn notes(&self) -> Vec<Note> {
        Vec::new()
    }

    /// Name of image `index`, by which a resumed training knows it again.
    fn name(&self, index: usize) -> Cow<'_, str> {
        format!("image {index}").into()
    }

    /// Place of image `index` as errors name it, such as a path.
    fn file(&self, index: usize) -> String {
        self.name(index).into_owned()
    }

    /// Size, time and checksum of image `index` without decoding it, from which a resumed training tells whether it
    /// has changed. `None`, the default, where nothing is known: then it is taken to be the same.
    ///
    /// # Errors
    /// Those of [`image`](Self::image).
    fn stamp(&self, index: usize) -> Result<Option<Stamp>, Error> {
        let _ = index;
        Ok(None)
    }

    /// Order of a shuffled epoch: a permutation of the places `0..len`, and a function of (seed, epoch) alone, so that
    /// an epoch can be resumed. Default: all orders are equally likely. Data of which only a part is in memory at a
    /// time, such as a Parquet file, give one that asks for images of the same part close to each other.
    fn order(&self, seed: u64, epoch: u64) -> Vec<usize> {
        shuffled(self.len(), seed, epoch)
    }

    /// Bytes of image `index` whose hash tells whether it has changed, where its [`stamp`](Self::stamp) has no
    /// checksum. Default: its pixels.
    ///
    /// # Errors
    /// Those of [`image`](Self::image).
    fn bytes(&self, index: usize) -> Result<Cow<'_, [u8]>, Error> {
        Ok(self.image(index)?.into_pixels().into())
    }
}

/// Targets of a label.
pub(crate) fn one_hot(label: usize, classes: usize) -> Vec<f64> {
    (0..classes).map(|class| f64::from(u8::from(class == label))).collect()
}

/// Random permutation of `0..len`, keyed (seed, epoch).
pub(crate) fn shuffled(len: usize, seed: u64, epoch: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..len).collect();
    Use::Shuffle.key([seed, epoch, 0]).stream().shuffle(&mut order);
    order
}
