//! Images as the network sees them.

use std::sync::Arc;

use residual::arch::Preprocess;
use residual::data::{
    Augment, Augmenter, Error, Image, ImageSet, LabelledImages, Loader, LoaderOptions, Mix, Preprocessor,
    SampleKey,
};

use super::view::View;
use crate::cli::sheet::Thumbnail;
use crate::cli::thumbnail::{shrinking, thumbnail};

/// Draws among which one is looked for that changes an image.
pub(super) const TRIED: u64 = 64;

/// Eye of the network: preprocessing and augmentation, and what is shown of it.
pub(super) struct Eye<'a> {
    view: &'a View,
    preprocessor: Preprocessor,
    /// Shrinks what is larger than a thumbnail.
    shrink: Preprocessor,
}

impl<'a> Eye<'a> {
    pub(super) fn new(view: &'a View) -> Result<Self, Error> {
        Ok(Self { view, preprocessor: Preprocessor::new(&view.preprocess)?, shrink: shrinking()? })
    }

    /// Augmentations of the recipe.
    pub(super) fn augment(&self) -> &'a [Augment] {
        &self.view.augment
    }

    /// Mixing of the recipe.
    pub(super) fn mix(&self) -> Option<&'a Mix> {
        self.view.mix.as_ref()
    }

    /// The image before augmentation and normalisation.
    pub(super) fn seen(&self, set: &ImageSet, index: usize) -> Result<Image, Error> {
        self.preprocessor.fit(set.read(index)?, &set.file(index))
    }

    pub(super) fn augmented(
        &self,
        set: &ImageSet,
        index: usize,
        list: &[Augment],
        [seed, epoch]: [u64; 2],
    ) -> Result<Image, Error> {
        let file = set.file(index);
        let augmenter = Augmenter::new(list, &self.view.preprocess)?;
        let image = match augmenter.sets_size() {
            true => self.preprocessor.admit(set.read(index)?, &file)?,
            false => self.seen(set, index)?,
        };
        augmenter.apply(image, SampleKey::new(seed, epoch, index as u64), &file)
    }

    /// Images mixed with one another, as the batch that they make.
    pub(super) fn mixed(
        &self,
        images: Vec<Image>,
        mix: &Mix,
        [seed, epoch]: [u64; 2],
    ) -> Result<Vec<Image>, Error> {
        let channels = self.preprocessor.channels();
        let classes = (0..images.len()).map(|number| number.to_string()).collect::<Vec<_>>();
        let labelled = images.into_iter().enumerate().map(|(label, image)| (image, label)).collect();
        // Values from 0 to 1, so that they are pixels again.
        let plain = Preprocess::normalise_only()
            .with(|plain| (plain.mean, plain.std) = (vec![0.0; channels], vec![1.0; channels]));
        let options = LoaderOptions::evaluation(classes.len(), plain).with(|options| {
            (options.seed, options.epoch, options.mix) = (seed, epoch, Some(mix.clone()));
        });
        let Some(batch) = Loader::new(Arc::new(LabelledImages::new(classes, labelled)?), options)?.next()
        else {
            return Ok(Vec::new());
        };
        let batch = batch?;
        let [_, _, height, width] = batch.shape;
        let plane = height * width;
        let shown = |value: f32| (255.0 * value).round().clamp(0.0, 255.0) as u8;
        let image = |values: &[f32]| {
            let pixel =
                |place: usize| (0..channels).map(move |channel| shown(values[channel * plane + place]));
            Image::new(width, height, channels, (0..plane).flat_map(pixel).collect())
        };
        batch.images.chunks(channels * plane).map(image).collect()
    }

    /// The image in the first draw that changes it; unchanged where none does.
    pub(super) fn changed(
        &self,
        set: &ImageSet,
        index: usize,
        list: &[Augment],
        seed: u64,
    ) -> Result<Image, Error> {
        let plain = self.seen(set, index)?;
        for epoch in 0..TRIED {
            let image = self.augmented(set, index, list, [seed, epoch])?;
            if image != plain {
                return Ok(image);
            }
        }
        Ok(plain)
    }

    /// The image as it is shown.
    pub(super) fn thumbnail(&self, image: &Image) -> Option<Thumbnail> {
        thumbnail(&self.shrink, image)
    }
}
