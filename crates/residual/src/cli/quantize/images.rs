//! Images to calibrate with, and images to judge by.

use std::ops::Range;

use residual::data::{self, Fit};
use residual::quantize::CalibrationImages;
use residual::weights::Model;

use super::Arguments;
use crate::cli::embed::images::Images;
use crate::cli::failure::{Failure, Outcome};
use crate::cli::labelled;
use crate::cli::progress::note;

/// Images of a data set, and whether their labels are the network's classes.
pub(super) struct Pool {
    pub(super) images: Images,
    pub(super) is_labelled: bool,
    fit: Fit,
    skip_bad: bool,
}

/// Numbers of the images for either use.
pub(super) struct Chosen {
    pub(super) calibration: Vec<usize>,
    pub(super) judged: Vec<usize>,
    /// Split of those that are judged, where it is another than that of the others.
    pub(super) split: Option<data::Split>,
}

/// An image as the network takes it.
pub(super) struct Values {
    /// `[channels, height, width]`
    pub(super) shape: [usize; 3],
    pub(super) values: Vec<f32>,
}

impl Pool {
    pub(super) fn open(arguments: &Arguments, model: &Model) -> Outcome<Self> {
        let (fit, labelled) = (Fit::new(model.spec())?, &arguments.labelled);
        let skip_bad = labelled.skip_bad;
        if model.spec().task.is_single_label() {
            match labelled::open(labelled, model, &arguments.network) {
                Ok(data) => {
                    return Ok(Self { images: Images::of(&data)?, is_labelled: true, fit, skip_bad });
                }
                // Pictures without labels will do, and those with others.
                Err(
                    failure @ (Failure::Check
                    | Failure::Reported
                    | Failure::Interrupted
                    | Failure::OutputClosed),
                ) => {
                    return Err(failure);
                }
                Err(Failure::Error { .. }) => {}
            }
        }
        let images = Images::open(&labelled.data, &labelled.list, (skip_bad, 0.0))?;
        Ok(Self { images, is_labelled: false, fit, skip_bad })
    }

    /// Images spread evenly: for calibration those of the training split, to judge by those of another or, where there
    /// is none, others of the same.
    pub(super) fn choose(&self, count: usize, judged: usize) -> Chosen {
        let ranges = self.images.ranges();
        let of = |split| ranges.iter().find(|(found, _)| *found == Some(split)).cloned();
        let train = of(data::Split::Train).or_else(|| ranges.first().cloned());
        let Some((from, range)) = train else {
            return Chosen { calibration: Vec::new(), judged: Vec::new(), split: None };
        };
        let calibration = spread(&range, count);
        let other =
            of(data::Split::Test).or_else(|| of(data::Split::Val)).filter(|(found, _)| *found != from);
        match other {
            Some((split, range)) => Chosen { calibration, judged: spread(&range, judged), split },
            None => {
                let mut free = range.clone();
                let left: Vec<usize> =
                    free.by_ref().filter(|number| calibration.binary_search(number).is_err()).collect();
                let judged = spread(&(0..left.len()), judged).into_iter().map(|at| left[at]).collect();
                Chosen { calibration, judged, split: None }
            }
        }
    }

    /// The image, decoded and brought to size; `None` for one that is left out.
    pub(super) fn read(&self, number: usize) -> Outcome<Option<Values>> {
        let name = self.images.row(number).path;
        let read = self.images.read(number).and_then(|image| Ok(self.fit.fit(image, &name)?));
        match read {
            Ok(image) => {
                let shape = [image.channels(), image.height(), image.width()];
                let mut values = Vec::new();
                self.fit.normalise(&image, &mut values);
                Ok(Some(Values { shape, values }))
            }
            Err(Failure::Error { message, .. }) if self.skip_bad => {
                note(&format!("left out: {message}"));
                Ok(None)
            }
            Err(failure) => Err(failure),
        }
    }

    /// The images of these numbers that are as large as the first.
    pub(super) fn calibration(&self, numbers: &[usize]) -> Outcome<CalibrationImages> {
        let (mut found, mut shape, mut others) = (None, [0; 3], 0);
        for &number in numbers {
            let Some(image) = self.read(number)? else { continue };
            if found.is_none() {
                let bytes = image.values.len().saturating_mul(2 * numbers.len() * size_of::<f32>());
                residual_files::require_memory(bytes as u64)?;
                shape = image.shape;
            }
            match image.shape == shape {
                true => found.get_or_insert_with(|| CalibrationImages::new(shape)).push(&image.values)?,
                false => others += 1,
            }
        }
        if others > 0 {
            note(&format!("quantize: {others} images of another size than the first are left out"));
        }
        found.ok_or_else(|| Failure::new("no images to calibrate with"))
    }
}

/// At most `count` numbers of a range, spread evenly.
fn spread(range: &Range<usize>, count: usize) -> Vec<usize> {
    let count = count.min(range.len());
    (0..count).map(|at| range.start + (2 * at + 1) * range.len() / (2 * count)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_spread_over_all_classes_and_none_comes_twice() {
        assert_eq!(spread(&(10..20), 2), [12, 17]);
        assert_eq!(spread(&(0..3), 9), [0, 1, 2]);
        assert!(spread(&(0..0), 5).is_empty());
        let many = spread(&(0..1000), 300);
        assert!(many.windows(2).all(|pair| pair[0] < pair[1]) && many.len() == 300);
    }
}
