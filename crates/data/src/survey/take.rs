//! Taking of a survey, on all threads.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use residual_arch::{Preprocess, TaskKind};

use super::seen::{Picture, Seen, look};
use super::{Duplicates, Handling, Sizes, duplicates};
use crate::{Dataset, Error, Format, ImageSet, Orientation, Pipeline, PipelineOptions, Source, Split};

/// Images that a thread takes at once: looking at a small one takes less time than handing it over.
const AT_ONCE: usize = 16;

/// Results that may wait for an earlier one, a thread; each is a few hundred bytes.
const WINDOW: usize = 64;

/// Options of a [`Survey`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SurveyOptions {
    /// Number of threads that read and decode. Does not change the result.
    pub threads: usize,
    /// True where images are decoded, so that their sizes, equal pixels and broken ones are known; false where files are
    /// only read.
    pub decode: bool,
}

impl SurveyOptions {
    /// Options of a survey that decodes every image, on so many threads.
    pub fn new(threads: usize) -> Self {
        Self { threads, decode: true }
    }

    /// Changes fields.
    ///
    /// ```
    /// use residual_data::SurveyOptions;
    /// let files = SurveyOptions::new(2).with(|options| options.decode = false);
    /// assert!(!files.decode);
    /// ```
    pub fn with<R>(mut self, change: impl FnOnce(&mut Self) -> R) -> Self {
        change(&mut self);
        self
    }
}

/// Place of an image in a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Split.
    pub split: Split,
    /// Number in the split, from 0.
    pub index: usize,
}

/// Broken image: one that cannot be read or decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Broken {
    /// Place in the data.
    pub place: Place,
    /// Fault of the image.
    pub found: String,
}

/// Turned image: one whose stored pixels are to be turned or mirrored to be seen upright, as its EXIF says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Turned {
    /// Place in the data.
    pub place: Place,
    /// True where decoding turns it whatever the preprocessing says: the pixels of a TIFF file.
    pub by_decoder: bool,
}

/// Survey of a [`Dataset`]: what its images are, counted. Every image is read once; of each a few dozen bytes are kept,
/// whatever its size.
///
/// ```
/// use residual_data::{Dataset, Format, Split, Survey, SurveyOptions};
///
/// let survey = Survey::take(&Dataset::sample()?, &SurveyOptions::new(2), |_| ())?;
/// assert_eq!(survey.images(), 6000);
/// assert_eq!(survey.counts(Split::Test), [100; 10]);
/// assert_eq!(survey.formats()[&Format::Jpeg], 6000);
/// let sizes = survey.sizes().unwrap();
/// assert_eq!((sizes.smallest, sizes.largest), ([32, 32].into(), [32, 32].into()));
/// assert!(survey.broken().is_empty());
/// # Ok::<(), residual_data::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Survey {
    classes: Vec<String>,
    pub(super) sets: Vec<(Split, ImageSet)>,
    /// Facts of the images of each of `sets`.
    pub(super) seen: Vec<Vec<Seen>>,
    broken: Vec<Broken>,
    decoded: bool,
}

impl Survey {
    /// Takes the survey; `progress` is told the number of images done. An image that cannot be read or decoded is
    /// [`broken`](Self::broken), not an error.
    ///
    /// # Errors
    /// [`Error::Thread`], [`Error::WorkerPanicked`].
    pub fn take(
        data: &Dataset,
        options: &SurveyOptions,
        mut progress: impl FnMut(usize),
    ) -> Result<Self, Error> {
        let sets = data.splits().into_iter().map(|split| Ok((split, data.split(split)?)));
        let sets = sets.collect::<Result<Vec<_>, Error>>()?;
        let parts: Vec<_> =
            sets.iter().enumerate().flat_map(|(number, (_, set))| parts(number, set.len())).collect();
        let (shared, decode) = (sets.clone(), options.decode);
        let window = PipelineOptions::new(options.threads, WINDOW * options.threads.max(1));
        let looks =
            Pipeline::start(parts.clone().into_iter(), window, move |part: Part, stopped: &AtomicBool| {
                let going = || !stopped.load(Ordering::Relaxed);
                let set = &shared[part.set].1;
                part.indices()
                    .take_while(|_| going())
                    .map(|index| look(set, index, decode))
                    .collect::<Vec<_>>()
            })?;
        let mut survey = Self {
            classes: data.classes.clone(),
            seen: sets.iter().map(|(_, set)| Vec::with_capacity(set.len())).collect(),
            broken: Vec::new(),
            decoded: decode,
            sets,
        };
        let mut done = 0;
        for (part, looks) in parts.into_iter().zip(looks) {
            let split = survey.sets[part.set].0;
            for (index, (seen, fault)) in part.indices().zip(looks?) {
                let place = Place { split, index };
                survey.broken.extend(fault.map(|found| Broken { place, found }));
                survey.seen[part.set].push(seen);
                done += 1;
            }
            progress(done);
        }
        Ok(survey)
    }

    /// Names of the classes.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// Splits that there are.
    pub fn splits(&self) -> impl Iterator<Item = Split> {
        self.sets.iter().map(|(split, _)| *split)
    }

    /// Number of images.
    pub fn images(&self) -> usize {
        self.seen.iter().map(Vec::len).sum()
    }

    /// Number of images of a split.
    pub fn images_of(&self, split: Split) -> usize {
        self.set(split).map_or(0, ImageSet::len)
    }

    /// Bytes of all images as they are stored.
    pub fn bytes(&self) -> u64 {
        self.all().map(|(_, seen)| seen.bytes).sum()
    }

    /// True where the images were decoded.
    pub fn is_decoded(&self) -> bool {
        self.decoded
    }

    /// Number of images of each class in a split; of several where an image has several. Of a regression's targets every
    /// image has a number.
    pub fn counts(&self, split: Split) -> Vec<usize> {
        let mut counts = vec![0; self.classes.len()];
        let Some(set) = self.set(split) else { return counts };
        for index in 0..set.len() {
            match self.task() {
                TaskKind::SingleLabel => {
                    counts.get_mut(set.label(index)).into_iter().for_each(|count| *count += 1);
                }
                TaskKind::MultiLabel => {
                    let has = Source::targets(set, index).into_iter().map(|target| usize::from(target > 0.0));
                    counts.iter_mut().zip(has).for_each(|(count, has)| *count += has);
                }
                _ => counts.iter_mut().for_each(|count| *count += 1),
            }
        }
        counts
    }

    /// Images of each format, told by content. Images that are stored as pixels, and broken ones of no format, are
    /// left out.
    pub fn formats(&self) -> BTreeMap<Format, usize> {
        count(self.all().filter_map(|(_, seen)| seen.format))
    }

    /// Images of each recorded orientation (EXIF), by its number, 1 to 8.
    pub fn orientations(&self) -> BTreeMap<u8, usize> {
        count(self.all().map(|(_, seen)| seen.orientation.number()))
    }

    /// Images that are to be turned or mirrored to be seen upright.
    pub fn turned(&self) -> Vec<Turned> {
        let turned = self.all().filter(|(_, seen)| seen.orientation != Orientation::Upright);
        turned.map(|(place, seen)| Turned { place, by_decoder: seen.format == Some(Format::Tiff) }).collect()
    }

    /// Decoded images of each number of channels: 1 for grey, 3 for RGB.
    pub fn channels(&self) -> BTreeMap<usize, usize> {
        count(self.pictures().map(|picture| picture.channels as usize))
    }

    /// Number of decoded images with more than 8 bits a sample.
    pub fn deep(&self) -> usize {
        self.pictures().filter(|picture| picture.is_deep).count()
    }

    /// Number of decoded images of which a pixel is transparent.
    pub fn transparent(&self) -> usize {
        self.pictures().filter(|picture| picture.is_transparent).count()
    }

    /// Number of decoded images that are the first of several frames or pages of a file.
    pub fn first_of_several(&self) -> usize {
        self.pictures().filter(|picture| picture.is_first).count()
    }

    /// Sizes of the decoded images; `None` where there are none.
    pub fn sizes(&self) -> Option<Sizes> {
        Sizes::of(
            self.pictures().map(|picture| [picture.height as usize, picture.width as usize].into()).collect(),
        )
    }

    /// Images that cannot be read or decoded.
    pub fn broken(&self) -> &[Broken] {
        &self.broken
    }

    /// Images that are there more than once.
    pub fn duplicates(&self) -> Duplicates {
        duplicates::find(self)
    }

    /// Handling of the images by a loader with this preprocessing.
    pub fn handling(&self, preprocess: &Preprocess) -> Handling {
        let mut handling = Handling::of(self.pictures(), preprocess);
        handling.broken = self.broken.len();
        handling
    }

    /// Label of an image.
    ///
    /// # Panics
    /// For a place that is not of this survey, as the next two.
    pub fn label(&self, place: Place) -> usize {
        self.at(place).label(place.index)
    }

    /// Name of an image inside the data.
    pub fn name(&self, place: Place) -> Cow<'_, str> {
        Source::name(self.at(place), place.index)
    }

    /// Path of an image as errors name it.
    pub fn file(&self, place: Place) -> String {
        self.at(place).file(place.index)
    }

    pub(super) fn set(&self, wanted: Split) -> Option<&ImageSet> {
        self.sets.iter().find(|(split, _)| *split == wanted).map(|(_, set)| set)
    }

    fn at(&self, place: Place) -> &ImageSet {
        match self.set(place.split) {
            Some(set) => set,
            None => panic!("the survey has no {} images", place.split),
        }
    }

    /// Every image, in order.
    pub(super) fn all(&self) -> impl Iterator<Item = (Place, &Seen)> {
        self.sets.iter().zip(&self.seen).flat_map(|(&(split, _), seen)| {
            seen.iter().enumerate().map(move |(index, seen)| (Place { split, index }, seen))
        })
    }

    fn pictures(&self) -> impl Iterator<Item = &Picture> {
        self.all().filter_map(|(_, seen)| seen.picture.as_ref())
    }
}

/// Part of a set that a thread takes at once.
#[derive(Clone, Copy)]
struct Part {
    set: usize,
    first: usize,
    end: usize,
}

impl Part {
    fn indices(self) -> std::ops::Range<usize> {
        self.first..self.end
    }
}

fn parts(set: usize, len: usize) -> impl Iterator<Item = Part> {
    (0..len).step_by(AT_ONCE).map(move |first| Part { set, first, end: (first + AT_ONCE).min(len) })
}

fn count<T: Ord>(items: impl Iterator<Item = T>) -> BTreeMap<T, usize> {
    let mut counts = BTreeMap::new();
    for item in items {
        *counts.entry(item).or_default() += 1;
    }
    counts
}
