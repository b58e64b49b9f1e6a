//! Classes and splits of stored images.

use std::collections::HashMap;
use std::sync::Arc;

use super::labels::{Labels, NO_LABEL};
use super::stored::{Samples, Stored};
use crate::classes::sort_labels;
use crate::hold_out::HoldOut;
use crate::{Error, Note, OpenOptions, Split};

/// Content of shards: images by number, each with a label and a split.
pub(crate) struct Content {
    /// Name of the whole in errors.
    pub(crate) origin: String,
    pub(crate) store: Arc<dyn Stored>,
    pub(crate) labels: Labels,
    /// Split of each image.
    pub(crate) splits: Vec<Split>,
    /// Classes in order, where the data say them; else they are the labels of the training images.
    pub(crate) classes: Option<Vec<String>>,
    /// Names of the columns of the labels.
    pub(crate) columns: Vec<String>,
    pub(crate) notes: Vec<Note>,
}

/// Classes in order, the images of each split, and what was noticed.
pub(crate) struct Arranged {
    pub(crate) origin: String,
    /// Classes, or of other tasks the texts of all answers.
    pub(crate) classes: Vec<String>,
    pub(crate) columns: Vec<String>,
    pub(crate) splits: Vec<(Split, Samples)>,
    pub(crate) notes: Vec<Note>,
    pub(crate) held_out: bool,
}

/// Images of a split: their numbers, and their labels.
#[derive(Default)]
struct Numbered {
    numbers: Vec<u32>,
    labels: Vec<u32>,
}

impl Numbered {
    fn push(&mut self, number: u32, label: u32) {
        self.numbers.push(number);
        self.labels.push(label);
    }
}

/// Arranges stored images to splits. Those without a label are left out: a competition's test images.
///
/// # Errors
/// [`Error::UnknownClass`] for labels that the training images do not have; [`Error::NoSamples`].
pub(crate) fn arrange(content: Content, options: &OpenOptions) -> Result<Arranged, Error> {
    let is_single = options.task.is_single_label();
    let classes = match &content.classes {
        _ if !is_single => content.labels.texts().to_vec(),
        Some(classes) => classes.clone(),
        None => classes_of(&content),
    };
    let texts = content.labels.texts();
    let known: HashMap<&String, u32> = classes.iter().zip(0..).collect();
    let places: Vec<Option<u32>> = texts.iter().map(|text| known.get(text).copied()).collect();
    let mut unknown: Vec<String> = texts
        .iter()
        .zip(&places)
        .filter(|(_, place)| place.is_none())
        .map(|(text, _)| text.clone())
        .collect();
    if !unknown.is_empty() {
        unknown.sort();
        return Err(Error::UnknownClass { path: content.origin, unknown, known: classes });
    }
    let mut splits: [Numbered; 3] = Default::default();
    let mut unlabelled = [0; 3];
    for ((number, &label), &split) in (0..).zip(&content.labels.of).zip(&content.splits) {
        match places.get(label as usize).copied().flatten() {
            Some(label) => splits[split as usize].push(number, label),
            None => unlabelled[split as usize] += usize::from(label == NO_LABEL),
        }
    }
    let mut notes = content.notes;
    let counts = Split::ALL.into_iter().zip(unlabelled).filter(|(_, count)| *count > 0);
    notes.extend(counts.map(|(split, count)| Note::Unlabelled { split, count }));
    let [train, val, test] = splits;
    // Where there is nothing to evaluate on, a part of the training images is.
    let held_out = val.numbers.is_empty() && test.numbers.is_empty();
    let (train, val) = match held_out {
        true if is_single => hold_out(train, |label| label as usize, options)?,
        // Sets of classes and numbers are too many to hold out a share of each.
        true => hold_out(train, |_| 0, options)?,
        false => (train, val),
    };
    let splits =
        Split::ALL.into_iter().zip([train, val, test]).filter(|(_, images)| !images.numbers.is_empty());
    let samples = |images: Numbered| Samples::new(content.store.clone(), images.numbers, images.labels);
    let splits: Vec<_> = splits.map(|(split, images)| (split, samples(images))).collect();
    if splits.is_empty() {
        return Err(Error::NoSamples { path: content.origin });
    }
    let columns = content.columns;
    Ok(Arranged { origin: content.origin, classes, columns, splits, notes, held_out })
}

/// Labels of the training images, or of all where there are none to train on, sorted as those of a list.
fn classes_of(content: &Content) -> Vec<String> {
    let texts = content.labels.texts();
    let of_split = |is_wanted: &dyn Fn(Split) -> bool| {
        let mut used = vec![false; texts.len()];
        for (&label, &split) in content.labels.of.iter().zip(&content.splits) {
            if let Some(used) = used.get_mut(label as usize).filter(|_| is_wanted(split)) {
                *used = true;
            }
        }
        let used = texts.iter().zip(used).filter(|(_, used)| *used);
        used.map(|(text, _)| text.clone()).collect::<Vec<_>>()
    };
    let mut known = of_split(&|split| split == Split::Train);
    if known.is_empty() {
        known = of_split(&|_| true);
    }
    sort_labels(&mut known);
    known
}

/// Takes a seeded share of each class out of the training images.
fn hold_out(
    images: Numbered,
    class: impl Fn(u32) -> usize,
    options: &OpenOptions,
) -> Result<(Numbered, Numbered), Error> {
    let hold_out = HoldOut::new(options.holdout, options.split_seed)?;
    let classes = images.labels.iter().map(|&label| class(label) + 1).max().unwrap_or(0);
    let mut counts = vec![0; classes];
    images.labels.iter().for_each(|&label| counts[class(label)] += 1);
    let flags = counts.iter().enumerate().map(|(label, &count)| hold_out.of_class(label, count).into_iter());
    let mut flags: Vec<_> = flags.collect();
    let (mut train, mut val) = (Numbered::default(), Numbered::default());
    for (number, label) in images.numbers.into_iter().zip(images.labels) {
        let is_held_out = flags[class(label)].next() == Some(true);
        if is_held_out { &mut val } else { &mut train }.push(number, label);
    }
    Ok((train, val))
}
