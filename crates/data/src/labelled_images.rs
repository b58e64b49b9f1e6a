//! Labelled images in memory.

use std::borrow::Cow;
use std::sync::Arc;

use flate2::Crc;
use residual_arch::TaskKind;

use crate::hold_out::{HoldOut, divided};
use crate::source::one_hot;
use crate::{Error, Image, Source, Stamp};

/// Images in memory with their labels, as a [`Source`] for training and evaluation.
///
/// ```
/// use residual_data::{Image, LabelledImages, Source};
///
/// let image = |value| Image::new(4, 4, 1, vec![value; 16]).unwrap();
/// let images = (0..20).map(|i| (image(10 * i), usize::from(i >= 10))).collect();
/// let (train, held_out) = LabelledImages::new(["dark", "bright"], images)?.hold_out(0.2, 0)?;
/// assert_eq!((train.len(), held_out.len()), (16, 4));
/// # Ok::<(), residual_data::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct LabelledImages {
    classes: Vec<String>,
    /// Images with their labels, and its place in the list that was given.
    images: Vec<(Image, usize, usize)>,
    /// Targets of all images that were given, where the task is not single label.
    targets: Option<(TaskKind, Arc<[Vec<f64>]>)>,
}

impl LabelledImages {
    /// Images with their labels, which count from 0 in the list of `classes`.
    ///
    /// # Errors
    /// [`Error::LabelBeyond`] for a label that has no class.
    pub fn new<C: Into<String>>(
        classes: impl IntoIterator<Item = C>,
        images: Vec<(Image, usize)>,
    ) -> Result<Self, Error> {
        let classes: Vec<String> = classes.into_iter().map(Into::into).collect();
        if let Some((index, &(_, label))) =
            images.iter().enumerate().find(|(_, (_, label))| *label >= classes.len())
        {
            let (file, classes) = (format!("image {index}"), classes.len());
            return Err(Error::LabelBeyond { file, label, classes });
        }
        let place = |(place, (image, label))| (image, label, place);
        Ok(Self { classes, images: images.into_iter().enumerate().map(place).collect(), targets: None })
    }

    /// Images with their targets, a number for each of the `names`: 1 for a class that an image has and 0 for others, or
    /// the numbers of a regression.
    ///
    /// ```
    /// use residual_arch::TaskKind;
    /// use residual_data::{Image, LabelledImages, Source};
    ///
    /// let image = |value| Image::new(4, 4, 1, vec![value; 16]).unwrap();
    /// let images = (0..20).map(|i| (image(10 * i), vec![f64::from(i) / 2.0])).collect();
    /// let set = LabelledImages::with_targets(TaskKind::Regression, ["brightness"], images)?;
    /// assert_eq!(set.targets(3), [1.5]);
    /// # Ok::<(), residual_data::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Answer`] for an image without a finite number for each name, or with another one than 0 and 1 for a class.
    pub fn with_targets<C: Into<String>>(
        task: TaskKind,
        names: impl IntoIterator<Item = C>,
        images: Vec<(Image, Vec<f64>)>,
    ) -> Result<Self, Error> {
        let classes: Vec<String> = names.into_iter().map(Into::into).collect();
        let is_wrong = |&value: &f64| match task {
            TaskKind::Regression => !value.is_finite(),
            _ => value != 0.0 && value != 1.0,
        };
        for (index, (_, targets)) in images.iter().enumerate() {
            if targets.len() != classes.len() || targets.iter().any(is_wrong) {
                let reason = format!("{targets:?} are no targets of a {task} of {}", classes.join(", "));
                return Err(Error::Answer { path: format!("image {index}"), reason });
            }
        }
        let first = |targets: &[f64]| match task {
            TaskKind::Regression => 0,
            _ => targets.iter().position(|&value| value == 1.0).unwrap_or(0),
        };
        let targets = images.iter().map(|(_, targets)| targets.clone()).collect();
        let place = |(place, (image, targets)): (usize, (Image, Vec<f64>))| (image, first(&targets), place);
        let images = images.into_iter().enumerate().map(place).collect();
        Ok(Self { classes, images, targets: Some((task, targets)) })
    }

    /// Two parts: images to train on, and a `share` of each class held out to evaluate on, drawn by `seed` as
    /// [`Dataset`](crate::Dataset) draws it from a folder of classes.
    ///
    /// # Errors
    /// [`Error::InvalidOption`] for a share outside 0 to 1.
    pub fn hold_out(self, share: f64, seed: u64) -> Result<(Self, Self), Error> {
        let (classes, targets) = (self.classes, self.targets);
        // Sets of classes and numbers are too many to hold out a share of each.
        let class = |image: &(Image, usize, usize)| if targets.is_some() { 0 } else { image.1 };
        let (train, held_out) = divided(self.images, HoldOut::new(share, seed)?, class);
        let part = |images| Self { classes: classes.clone(), images, targets: targets.clone() };
        let (train, held_out) = (part(train), part(held_out));
        Ok((train, held_out))
    }
}

impl Source for LabelledImages {
    fn len(&self) -> usize {
        self.images.len()
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn label(&self, index: usize) -> usize {
        self.images[index].1
    }

    fn task(&self) -> TaskKind {
        self.targets.as_ref().map_or(TaskKind::SingleLabel, |(task, _)| *task)
    }

    fn targets(&self, index: usize) -> Vec<f64> {
        match &self.targets {
            Some((_, targets)) => targets[self.images[index].2].clone(),
            None => one_hot(self.label(index), self.classes.len()),
        }
    }

    fn image(&self, index: usize) -> Result<Image, Error> {
        Ok(self.images[index].0.clone())
    }

    fn is_in_memory(&self) -> bool {
        true
    }

    fn name(&self, index: usize) -> Cow<'_, str> {
        format!("image {}", self.images[index].2).into()
    }

    fn stamp(&self, index: usize) -> Result<Option<Stamp>, Error> {
        let image = &self.images[index].0;
        let mut crc = Crc::new();
        for size in [image.width(), image.height(), image.channels()] {
            crc.update(&(size as u64).to_le_bytes());
        }
        crc.update(image.pixels());
        Ok(Some(Stamp { size: image.pixels().len() as u64, modified: None, crc: Some(crc.sum()) }))
    }

    fn bytes(&self, index: usize) -> Result<Cow<'_, [u8]>, Error> {
        Ok(self.images[index].0.pixels().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(value: u8) -> Image {
        Image::new(2, 2, 1, vec![value; 4]).unwrap()
    }

    #[test]
    fn labels_have_classes() {
        let error = LabelledImages::new(["a", "b"], vec![(image(0), 0), (image(1), 2)]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "image 1: the label 2 is beyond the 2 classes; help: count labels from 0"
        );
    }

    #[test]
    fn a_share_of_each_class_is_held_out_and_keeps_its_name() {
        let images = (0..30).map(|i| (image(i), usize::from(i % 3 == 0))).collect();
        let (train, held_out) = LabelledImages::new(["a", "b"], images).unwrap().hold_out(0.1, 7).unwrap();
        let labels = |part: &LabelledImages| (0..part.len()).map(|i| part.label(i)).collect::<Vec<_>>();
        assert_eq!(labels(&train).iter().filter(|&&label| label == 1).count(), 9);
        assert_eq!(labels(&held_out).iter().filter(|&&label| label == 0).count(), 2);
        let mut names: Vec<_> =
            [&train, &held_out].into_iter().flat_map(|part| (0..part.len()).map(|i| part.name(i))).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), 30);
        for part in [&train, &held_out] {
            for i in 0..part.len() {
                let value = part.image(i).unwrap().pixels()[0];
                assert_eq!(part.name(i), format!("image {value}"));
            }
        }
    }

    #[test]
    fn a_changed_pixel_or_shape_changes_the_stamp() {
        let set = |image| LabelledImages::new(["a"], vec![(image, 0)]).unwrap();
        let stamp = |image| set(image).stamp(0).unwrap().unwrap();
        assert_eq!(stamp(image(3)), stamp(image(3)));
        assert_ne!(stamp(image(3)), stamp(image(4)));
        assert_ne!(stamp(image(3)), stamp(Image::new(4, 1, 1, vec![3; 4]).unwrap()));
    }
}
