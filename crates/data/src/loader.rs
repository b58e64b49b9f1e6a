//! Batches of one epoch, decoded ahead of whoever trains on them.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use residual_arch::Preprocess;
use residual_random::Key;

use crate::balanced::balanced;
use crate::cache::Preparation;
use crate::pipeline::{Pipeline, PipelineOptions};
use crate::random::Use;
use crate::resize::resize;
use crate::stages::{self, Clocks, Stage};
use crate::{
    Augment, Augmenter, BadImage, Error, Image, ImageCache, Mix, Partner, Preprocessor, SampleKey,
    ShardRange, Source, StageTimes,
};

/// Options by which an epoch is read.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LoaderOptions {
    /// Number of images in a batch.
    pub batch_size: usize,
    /// Number of decoding threads; with 0, batches are decoded by whoever asks for them.
    pub workers: usize,
    /// True where the order is random, keyed (`seed`, `epoch`), or that of the set.
    pub shuffle: bool,
    /// True where each class comes equally often in a shuffled epoch: see `sampling` in `docs/training.md`.
    pub balanced: bool,
    /// Seed of the training.
    pub seed: u64,
    /// Number of the epoch, from 0.
    pub epoch: u64,
    /// Number of the batch to begin with: those before it were done before an interruption.
    pub first_batch: usize,
    /// Shards of each batch that are read, one batch a shard, in place of the whole: for one of several processes that
    /// share the batches. The images of a shard are mixed with one another. Default: batches are not divided.
    pub shards: Option<ShardRange>,
    /// True where a last batch that is not full is left out.
    pub drop_last: bool,
    /// Augmentations, in order; empty for evaluation.
    pub augment: Vec<Augment>,
    /// Repeated augmentation (Hoffer et al. 2020): each image comes so many times after one another, augmented anew. An
    /// epoch has as many steps as before, and so as many times fewer images. 1 for none.
    pub repeats: usize,
    /// Mixing of the images of a batch.
    pub mix: Option<Mix>,
    /// Preprocessing of every image.
    pub preprocess: Preprocess,
    /// Size `[height, width]` that images are resized to behind preprocessing and augmentation, with the
    /// preprocessing's interpolation: for progressive resizing. Default: as they are then.
    pub resize: Option<[usize; 2]>,
    /// True where a bad image is left out and named, instead of being an error.
    pub skip_bad: bool,
    /// Cache of the set's images, from a [`CachePlan`](crate::CachePlan) for the same preprocessing; any other is not
    /// used.
    pub cache: Option<ImageCache>,
}

impl LoaderOptions {
    /// Options for evaluation: in order, everything, unchanged; one worker.
    pub fn evaluation(batch_size: usize, preprocess: Preprocess) -> Self {
        Self {
            batch_size,
            workers: 1,
            shuffle: false,
            balanced: false,
            seed: 0,
            epoch: 0,
            first_batch: 0,
            shards: None,
            drop_last: false,
            augment: Vec::new(),
            repeats: 1,
            mix: None,
            preprocess,
            resize: None,
            skip_bad: false,
            cache: None,
        }
    }

    /// True where an augmentation chooses the size of the images, in place of preprocessing.
    pub(crate) fn sets_size(&self) -> bool {
        self.augment.iter().any(Augment::sets_size)
    }

    /// Changes fields.
    ///
    /// ```
    /// use residual_arch::Preprocess;
    /// use residual_data::LoaderOptions;
    /// let options = LoaderOptions::evaluation(64, Preprocess::normalise_only());
    /// let shuffled = options.with(|options| (options.shuffle, options.seed) = (true, 7));
    /// assert!(shuffled.shuffle);
    /// ```
    pub fn with<R>(mut self, change: impl FnOnce(&mut Self) -> R) -> Self {
        change(&mut self);
        self
    }
}

/// Batch: images and labels that go through a network together.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Batch {
    /// Normalised values, `[n, channels, height, width]`.
    pub images: Vec<f32>,
    /// Shape of `images`; `[0, channels, 0, 0]` where every image was left out.
    pub shape: [usize; 4],
    /// Label of each image; of a mixed one, its own.
    pub labels: Vec<usize>,
    /// Other image's part in each image, where images are mixed; empty where none is.
    pub partners: Vec<Partner>,
    /// Targets of each image, `[n, outputs]`, where the task is not single label: classes that it has or numbers, mixed
    /// where images are; empty for single labels.
    pub targets: Vec<f64>,
    /// Place of each image in its source.
    pub indices: Vec<usize>,
    /// Bad images that were left out.
    pub skipped: Vec<BadImage>,
}

impl Batch {
    /// Batch of `[n, channels, height, width]` values and `n` labels that a program gives, with the places 0 to `n`.
    pub fn new(images: Vec<f32>, shape: [usize; 4], labels: Vec<usize>) -> Self {
        let (indices, partners, skipped) = ((0..labels.len()).collect(), Vec::new(), Vec::new());
        Self { images, shape, labels, partners, targets: Vec::new(), indices, skipped }
    }

    /// Parts of at most `most` images that follow one another, as even as can be: 65 images in parts of at most 64 are
    /// 33 and 32. The images that were left out go with the first; a batch without images is one part.
    pub fn split(mut self, most: usize) -> Vec<Self> {
        let images = self.labels.len();
        let parts = images.div_ceil(most.max(1)).max(1);
        let (values, targets) = (self.values(), self.targets.len() / images.max(1));
        let mut later = Vec::with_capacity(parts);
        for part in (1..parts).rev() {
            let start = part * images / parts;
            let partners = if self.partners.is_empty() { Vec::new() } else { self.partners.split_off(start) };
            let labels = self.labels.split_off(start);
            later.push(Self {
                images: self.images.split_off(start * values),
                shape: [labels.len(), self.shape[1], self.shape[2], self.shape[3]],
                indices: self.indices.split_off(start),
                targets: self.targets.split_off(start * targets),
                labels,
                partners,
                skipped: Vec::new(),
            });
        }
        self.shape[0] = self.labels.len();
        later.push(self);
        later.reverse();
        later
    }

    /// Number of values of an image.
    fn values(&self) -> usize {
        self.shape[1..].iter().product()
    }
}

/// Number of batches of an epoch of `images`.
pub fn steps_per_epoch(images: usize, batch_size: usize, drop_last: bool) -> usize {
    let size = batch_size.max(1);
    if drop_last { images / size } else { images.div_ceil(size) }
}

/// Loader of the batches of one epoch, in order.
///
/// What a batch holds is a function of the set, the options, and nothing else: the number of
/// workers, or where the epoch was begun, changes no bit. An error ends the iteration. Dropping the
/// loader stops its threads.
///
/// ```
/// use std::sync::Arc;
/// use residual_arch::Preprocess;
/// use residual_data::{Dataset, Loader, LoaderOptions, Split};
///
/// let test = Arc::new(Dataset::sample()?.split(Split::Test)?);
/// let options = LoaderOptions::evaluation(64, Preprocess::normalise_only());
/// let batch = Loader::new(test, options)?.next().unwrap()?;
/// assert_eq!(batch.shape, [64, 3, 32, 32]);
/// # Ok::<(), residual_data::Error>(())
/// ```
pub struct Loader {
    batches: Pipeline<Result<Batch, Error>>,
    remaining: usize,
    clocks: Arc<Clocks>,
}

impl Loader {
    /// Starts the workers.
    ///
    /// # Errors
    /// [`Error::InvalidOption`] for a batch size of 0, or values that [`Preprocessor::new`] or
    /// [`Augmenter::new`] refuses; [`Error::Thread`].
    pub fn new(set: Arc<dyn Source>, mut options: LoaderOptions) -> Result<Self, Error> {
        for (option, value) in [("batch_size", options.batch_size), ("augment_repeats", options.repeats)] {
            if value == 0 {
                return Err(Error::InvalidOption { option, found: "0".into(), expected: "at least 1" });
            }
        }
        options.mix.iter().try_for_each(Mix::check)?;
        let augmenter = Augmenter::new(&options.augment, &options.preprocess)?;
        let steps = steps_per_epoch(set.len(), options.batch_size, options.drop_last);
        if let Some(ShardRange { first, end, .. }) = options.shards.filter(|range| range.is_none()) {
            let found = format!("{first} to {end}");
            return Err(Error::InvalidOption { option: "shards", found, expected: "at least one of them" });
        }
        let a_batch = options.shards.map_or(1, |range| range.count());
        let (first, workers) = (options.first_batch * a_batch, options.workers);
        let preprocessor = Preprocessor::new(&options.preprocess)?;
        let preparation = Preparation::of(&options);
        options.cache = options.cache.filter(|cache| cache.is_of(set.len(), &preparation));
        let clocks = Arc::new(Clocks::default());
        let epoch = Epoch { order: order(&*set, &options), set, preprocessor, augmenter, options };
        let remaining = (steps * a_batch).saturating_sub(first);
        // Each worker has one batch in hand and one to follow.
        let pipeline =
            PipelineOptions { threads: workers.min(remaining), window: 2 * workers, waits_for_items: false };
        let spent = clocks.clone();
        let batches =
            Pipeline::start(first..first + remaining, pipeline, move |number, stopped: &AtomicBool| {
                spent.record(|| epoch.item(number, stopped))
            })?;
        Ok(Self { batches, remaining, clocks })
    }

    /// Times that the threads have spent so far, by stage.
    pub fn stage_times(&self) -> StageTimes {
        self.clocks.times()
    }
}

impl Iterator for Loader {
    type Item = Result<Batch, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.remaining == 0 {
            return None;
        }
        let batch = self.batches.next()?.flatten();
        self.remaining = if batch.is_ok() { self.remaining - 1 } else { 0 };
        Some(batch)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        // An error ends the iteration early, but never before it was handed over.
        (self.remaining.min(1), Some(self.remaining))
    }
}

/// Order of an epoch: the source's own where it is shuffled.
fn order(set: &dyn Source, options: &LoaderOptions) -> Vec<usize> {
    match options.shuffle {
        true if options.balanced => balanced(set, options.seed, options.epoch),
        true => set.order(options.seed, options.epoch),
        false => (0..set.len()).collect(),
    }
}

/// Epoch: all that its batches are made from.
struct Epoch {
    set: Arc<dyn Source>,
    order: Vec<usize>,
    preprocessor: Preprocessor,
    augmenter: Augmenter,
    options: LoaderOptions,
}

impl Epoch {
    /// The `number`-th batch, or shard of one.
    fn item(&self, number: usize, stopped: &AtomicBool) -> Result<Batch, Error> {
        let LoaderOptions { seed, epoch, batch_size: size, .. } = self.options;
        let places = |number: usize| {
            let start = number.saturating_mul(size).min(self.order.len());
            start..start.saturating_add(size).min(self.order.len())
        };
        let mix = |number: usize| Use::Mix.key([seed, epoch, number as u64]);
        match self.options.shards {
            None => self.batch(places(number), mix(number), stopped),
            Some(range) => {
                let (number, shard) = range.place(number);
                self.batch(range.part(shard, &places(number)), mix(number).child(shard as u64), stopped)
            }
        }
    }

    fn batch(&self, places: Range<usize>, mixing: Key, stopped: &AtomicBool) -> Result<Batch, Error> {
        let repeats = self.options.repeats;
        let mut batch = Batch::new(Vec::new(), [0, self.preprocessor.channels(), 0, 0], Vec::new());
        let (expected, mut decoded) = (places.len(), None);
        for place in places {
            // The loader is being dropped: nobody will see this batch.
            if stopped.load(Ordering::Relaxed) {
                break;
            }
            let (index, repetition) = (self.order[place / repeats], place % repeats);
            match self.image(index, repetition as u64, &mut decoded) {
                Ok(image) => self.add(&mut batch, index, &image, expected)?,
                Err(error) => match error.bad_image().filter(|_| self.options.skip_bad) {
                    Some(bad) => batch.skipped.push(bad),
                    None => return Err(error),
                },
            }
        }
        batch.images.truncate(batch.shape[0] * batch.values());
        if let Some(mix) = &self.options.mix {
            mix.apply(&mut batch, mixing);
        }
        Ok(batch)
    }

    /// The image as it is before normalisation. `decoded` holds the one before, and keeps this one where it will be
    /// repeated.
    fn image(
        &self,
        index: usize,
        repetition: u64,
        decoded: &mut Option<(usize, Image)>,
    ) -> Result<Image, Error> {
        let options = &self.options;
        let file = self.set.file(index);
        let key =
            SampleKey::new(options.seed, options.epoch, index as u64).with(|key| key.repetition = repetition);
        let image = match decoded.take().filter(|(before, _)| *before == index) {
            Some((_, image)) => image,
            None => self.prepared(index, key, &file)?,
        };
        if options.repeats > 1 {
            *decoded = Some((index, image.clone()));
        }
        let image = stages::timed(Stage::Augment, || self.augmenter.apply(image, key, &file))?;
        match options.resize {
            Some(size) => {
                let interpolation = options.preprocess.interpolation;
                stages::timed(Stage::Resize, || resize(image, size, interpolation, &file))
            }
            None => Ok(image),
        }
    }

    /// The image as far as nothing is random, from the cache or from the set; where augmentation begins with a cut, at
    /// least that part. Only what is looked at is decoded, unless it is to be kept or repeated.
    fn prepared(&self, index: usize, key: SampleKey, file: &str) -> Result<Image, Error> {
        let sets_size = self.augmenter.sets_size();
        let part = |size: [usize; 2]| match sets_size {
            true => self.augmenter.first_part(key, size).filter(|_| self.options.repeats == 1),
            false => self.preprocessor.part(size),
        };
        let cache = self.options.cache.as_ref();
        if let Some(kept) = cache.and_then(|cache| cache.get(index)) {
            let part = sets_size.then(|| part([kept.height(), kept.width()])).flatten();
            return Ok(stages::timed(Stage::Read, || kept.part(part)));
        }
        let is_kept = cache.is_some_and(|cache| !cache.is_full());
        let image = stages::timed(Stage::Read, || match is_kept {
            true => self.set.image(index),
            false => self.set.image_part(index, &|size, orientation| {
                part(size).filter(|_| !self.preprocessor.turns(orientation))
            }),
        })?;
        let image = stages::timed(Stage::Resize, || self.preprocessor.prepare(image, sets_size, file))?;
        if let Some(cache) = cache.filter(|_| is_kept) {
            cache.keep(index, &image);
        }
        Ok(image)
    }

    fn add(&self, batch: &mut Batch, index: usize, image: &Image, expected: usize) -> Result<(), Error> {
        let size = [image.height(), image.width()];
        match batch.indices.first() {
            None => {
                batch.shape[2..].copy_from_slice(&size);
                // Zeros are pages that the system gives when they are written to.
                batch.images = vec![0.0; expected * batch.values()];
            }
            Some(&first) if batch.shape[2..] != size => {
                return Err(Error::MixedSizes {
                    file: self.set.file(index),
                    found: size,
                    first: self.set.file(first),
                    expected: [batch.shape[2], batch.shape[3]],
                });
            }
            Some(_) => {}
        }
        let (number, length) = (batch.shape[0], batch.values());
        let values = &mut batch.images[number * length..(number + 1) * length];
        stages::timed(Stage::Normalise, || self.preprocessor.normalise_into(image, values));
        batch.shape[0] += 1;
        batch.labels.push(self.set.label(index));
        if !self.set.task().is_single_label() {
            batch.targets.extend(self.set.targets(index));
        }
        batch.indices.push(index);
        Ok(())
    }
}
