//! Choices that a classifier is compiled with.

use residual_arch::NetSpec;

/// The most images at a time: as many as run at once in networks for 224x224 images.
const MOST: usize = 16;

/// Bytes of the images that the network is given at a time.
const TOGETHER: usize = 1 << 28;

/// Threads and batches of a classifier.
///
/// ```
/// use residual_predict::Options;
///
/// let options = Options::new().threads(2).batch(8);
/// assert_eq!(options, Options::new().batch(8).threads(2));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// Number of threads that work on one answer; `None` for as many as the machine runs at once, which is also the
    /// most. The answers are the same for any number.
    pub threads: Option<usize>,
    /// Number of images that the network takes at a time, for every call.
    ///
    /// `None`: one image alone goes through a plan for one, and several through a plan for up to 16 (fewer where they
    /// are large), compiled when they are first asked for. The two may choose different algorithms, so that an answer
    /// may differ between them in its last bits. With a number there is one plan, and an image has the same bits in
    /// every call.
    pub batch: Option<usize>,
    /// Compiles when the first image is there, and not when the classifier is made: for a program that has the first
    /// images decoded meanwhile. What is wrong with the weights is then said of an image.
    pub lazy: bool,
}

impl Options {
    /// Default options: all threads, one plan for single images and one for many.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the number of threads.
    pub fn threads(self, threads: usize) -> Self {
        Self { threads: Some(threads), ..self }
    }

    /// Sets the number of images that go through together.
    pub fn batch(self, images: usize) -> Self {
        Self { batch: Some(images), ..self }
    }

    /// Puts compiling off until the first image is there.
    pub fn lazy(self) -> Self {
        Self { lazy: true, ..self }
    }

    /// Number of images at a time of a call with one.
    pub(crate) fn single(&self) -> usize {
        self.batch.unwrap_or(1)
    }

    /// Number of images at a time of a call with many.
    pub(crate) fn many(&self, spec: &NetSpec) -> usize {
        self.batch.unwrap_or_else(|| {
            let [height, width] = usual_size(spec);
            let bytes = spec.input[0].saturating_mul(height).saturating_mul(width);
            (TOGETHER / bytes.max(1)).clamp(1, MOST)
        })
    }
}

/// `[height, width]` of most images after the preprocessing.
pub(crate) fn usual_size(spec: &NetSpec) -> [usize; 2] {
    let [_, height, width] = spec.input;
    spec.preprocess.crop.unwrap_or([height, width])
}
