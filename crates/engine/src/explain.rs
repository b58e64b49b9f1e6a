//! What a network sees: the maps inside it.

use std::ops::Range;

use residual_arch::Place;
use residual_kernels::{Layout, convert};

use crate::error::Error;
use crate::graph::MapId;
use crate::images::Images;
use crate::plan::Plan;
use crate::program::{HeadOutputs, Wanted};
use crate::scratch::Scratch;

/// Feature maps, `[batch][channels][height][width]`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Features {
    /// `[batch, channels, height, width]`
    pub shape: [usize; 4],
    /// The values, row-major.
    pub values: Vec<f32>,
}

/// The names that [`Plan::features`] takes: each stage before its blocks.
fn available(named: impl Iterator<Item = Place>) -> String {
    let mut places: Vec<Place> = Vec::new();
    for place in named {
        let stage = place.outermost();
        places.extend((!places.contains(&stage)).then_some(stage));
        places.extend((stage != place).then_some(place));
    }
    places.iter().map(Place::to_string).collect::<Vec<_>>().join(", ")
}

impl Plan {
    /// The maps after `path`: `stem`, `stage2` (its last block) or `stage2.block1`. Layers behind it do not
    /// run.
    ///
    /// A block of a pre-activation network gives a sum that nothing has normalised or rectified: its head's norm and
    /// ReLU come after the last one. The mean of `features("stage3")` is therefore not what such a network's linear
    /// layer reads; [`Plan::embed`] is, for every network.
    ///
    /// # Errors
    /// [`Error::NoFeatures`] for another path, and for the stem of a pre-activation network whose last
    /// convolution has the first block's batch norm folded in: its own result never exists. Else those of
    /// [`Plan::run`].
    pub fn features(&self, images: Images<'_>, path: &str, scratch: &mut Scratch) -> Result<Features, Error> {
        let named = &self.network.graph.named;
        let place = path.parse::<Place>().ok();
        let found = named.iter().rev().find(|(name, _)| place.is_some_and(|place| place.includes(*name)));
        let Some(&(_, map)) = found else {
            let available = available(named.iter().map(|&(place, _)| place));
            return Err(Error::NoFeatures { path: path.to_owned(), available });
        };
        self.map(images, map, scratch)
    }

    /// Maps of the last layer that the plan was compiled for ([`Options::until`](crate::Options::until)); of a plan
    /// that gives logits, those that its head averages.
    ///
    /// # Errors
    /// Those of [`Plan::run`].
    pub fn last(&self, images: Images<'_>, scratch: &mut Scratch) -> Result<Features, Error> {
        self.map(images, self.network.graph.last, scratch)
    }

    /// The embeddings of a batch, `[batch][width]`: what the head's linear layer reads. The last block's maps, through
    /// the head's norm and ReLU where it has them (pre-activation networks), averaged over their pixels. The width is
    /// the channels of the last block.
    ///
    /// The logits of [`Plan::run`] are the linear layer of exactly these numbers.
    ///
    /// # Errors
    /// Those of [`Plan::run`].
    pub fn embed(&self, images: Images<'_>, scratch: &mut Scratch) -> Result<Vec<f32>, Error> {
        self.head_inputs(images, scratch)
    }

    /// The embeddings of a batch, `[batch][width]`, and its logits, `[batch][classes]`, at one go: those of
    /// [`Plan::embed`] and [`Plan::run`].
    ///
    /// # Errors
    /// Those of [`Plan::run`].
    pub fn embed_and_run<'s>(
        &self,
        images: Images<'_>,
        scratch: &'s mut Scratch,
    ) -> Result<(Vec<f32>, &'s [f32]), Error> {
        let count = self.count(&images, scratch)?;
        let embeddings = self.head_inputs(images, scratch)?;
        let logits = &scratch.logits[..count * self.classes()];
        self.check_finite(logits, self.classes())?;
        Ok((embeddings, logits))
    }

    /// Embeddings of a batch: the inputs of the head's linear layer, whose logits are left in `scratch`.
    fn head_inputs(&self, images: Images<'_>, scratch: &mut Scratch) -> Result<Vec<f32>, Error> {
        let count = self.count(&images, scratch)?;
        let (width, classes) = (self.network.graph.head.ins, self.classes());
        let Scratch { memory, pooled, logits } = scratch;
        let mut embeddings = Vec::with_capacity(count * width);
        self.each_part(images, count, |program, images, first| {
            let batch = program.batch();
            program.run(&self.cpu, &self.network, images, memory, None, None)?;
            let logits = &mut logits[first * classes..(first + batch) * classes];
            let out = HeadOutputs { pooled: &mut pooled[..batch * width], logits };
            program.head(&self.cpu, &self.network, memory, out, None)?;
            embeddings.extend_from_slice(&pooled[..batch * width]);
            Ok(())
        })?;
        Ok(embeddings)
    }

    /// The class activation maps of a batch, one for each image: how much each place of the last block's
    /// output adds to the logit of the image's class in `classes` (Zhou et al. 2016, section 2),
    ///
    /// `cam[n, y, x] = sum over c of w[classes[n], c] f[n, c, y, x]`
    ///
    /// whose mean is the logit without its bias. `f` is what the head averages.
    ///
    /// # Shapes
    /// `[batch, 1, height, width]` of the last stage.
    ///
    /// # Errors
    /// [`Error::Class`] for a class that the network does not have, [`Error::Option`] where there
    /// is not one class for every image. Else those of [`Plan::run`].
    pub fn class_activation(
        &self,
        images: Images<'_>,
        classes: &[usize],
        scratch: &mut Scratch,
    ) -> Result<Features, Error> {
        let count = self.count(&images, scratch)?;
        if classes.len() != count {
            let found = format!("{} for {count} images", classes.len());
            return Err(Error::Option { option: "classes", found, expected: "one class for each image" });
        }
        if let Some(&class) = classes.iter().find(|&&class| class >= self.classes()) {
            return Err(Error::Class { class, classes: self.classes() });
        }
        let head = &self.network.graph.head;
        let Features { shape: [batch, channels, height, width], values } =
            self.map(images, self.network.graph.last, scratch)?;
        let pixels = height * width;
        let mut maps = vec![0.0; batch * pixels];
        let by_image = values.chunks_exact(channels * pixels).zip(maps.chunks_exact_mut(pixels));
        for ((features, map), class) in by_image.zip(classes) {
            let weights = &head.weights[class * channels..][..channels];
            for (feature, weight) in features.chunks_exact(pixels).zip(weights) {
                map.iter_mut().zip(feature).for_each(|(sum, value)| *sum += weight * value);
            }
        }
        Ok(Features { shape: [batch, 1, height, width], values: maps })
    }

    /// Map of a batch, by its number in the graph.
    fn map(&self, images: Images<'_>, map: MapId, scratch: &mut Scratch) -> Result<Features, Error> {
        let count = self.count(&images, scratch)?;
        let graph = &self.network.graph;
        let (channels, [height, width]) = (graph.maps[map].channels, graph.maps[map].size);
        let shape = [count, channels, height, width];
        let each = channels * height * width;
        let mut values = vec![0.0; count * each];
        self.each_part(images, count, |program, images, first| {
            let mut take = |_, images: Range<usize>, maps: &[f32], from: Layout| {
                let to = Layout::planar(images.len(), channels, height, width)?;
                let values = &mut values[(first + images.start) * each..(first + images.end) * each];
                convert(&self.cpu, maps, from, values, to)
            };
            let wanted = Some(Wanted { map: Some(map), take: &mut take });
            program.run(&self.cpu, &self.network, images, &mut scratch.memory, wanted, None)
        })?;
        self.check_finite(&values, each)?;
        Ok(Features { shape, values })
    }
}
