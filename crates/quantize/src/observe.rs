//! What the maps of a network are like, in float32.

use std::collections::BTreeMap;

use residual_engine::{Images, MapName, Plan, Seen};

use crate::equalise::Factors;
use crate::error::Error;
use crate::histogram::Histogram;
use crate::images::CalibrationImages;
use crate::options::Options;

/// Least, greatest and mean value of a channel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Channel {
    pub(crate) least: f32,
    pub(crate) most: f32,
    sum: f64,
    count: u64,
}

impl Channel {
    const NONE: Self = Self { least: 0.0, most: 0.0, sum: 0.0, count: 0 };

    pub(crate) fn mean(&self) -> f64 {
        self.sum / self.count.max(1) as f64
    }

    fn add(&mut self, values: &[f32]) {
        let mut sum = 0.0;
        for &value in values {
            self.least = self.least.min(value);
            self.most = self.most.max(value);
            sum += f64::from(value);
        }
        self.sum += sum;
        self.count += values.len() as u64;
    }
}

/// Channels of every map.
pub(crate) type Channels = BTreeMap<MapName, Vec<Channel>>;

/// Histograms of every map, as it is and with its channels equalised.
#[derive(Clone, Debug)]
pub(crate) struct Histograms {
    pub(crate) plain: BTreeMap<MapName, Histogram>,
    /// Those of the maps that are equalised.
    pub(crate) equalised: BTreeMap<MapName, Histogram>,
}

/// Runs all images through a plan.
fn observe(
    plan: &Plan,
    images: &CalibrationImages,
    options: &Options,
    see: &mut dyn FnMut(Seen<'_>),
) -> Result<(), Error> {
    let mut scratch = plan.scratch();
    for batch in images.batches(options.batch) {
        plan.observe(Images::Planar(batch), &mut scratch, see)?;
    }
    Ok(())
}

/// Channels of every map of the images.
pub(crate) fn channels(
    plan: &Plan,
    images: &CalibrationImages,
    options: &Options,
) -> Result<Channels, Error> {
    let mut channels = Channels::new();
    observe(plan, images, options, &mut |seen| {
        let [_, count, height, width] = seen.shape;
        let found = channels.entry(seen.map).or_insert_with(|| vec![Channel::NONE; count]);
        for (number, values) in seen.values.chunks_exact(height * width).enumerate() {
            found[number % count].add(values);
        }
    })?;
    Ok(channels)
}

/// Histograms of every map of the images, whose channels are known.
pub(crate) fn histograms(
    plan: &Plan,
    images: &CalibrationImages,
    options: &Options,
    channels: &Channels,
    factors: &Factors,
) -> Result<Histograms, Error> {
    let one = |_: usize| 1.0;
    let plain = channels.iter().map(|(map, channels)| (*map, over(channels, one))).collect();
    let equalised = factors.iter().filter_map(|(map, factors)| {
        let channels = channels.get(map)?;
        Some((*map, over(channels, |channel| 1.0 / factors[channel])))
    });
    let mut found = Histograms { plain, equalised: equalised.collect() };
    observe(plan, images, options, &mut |seen| {
        let [_, count, height, width] = seen.shape;
        if let Some(histogram) = found.plain.get_mut(&seen.map) {
            histogram.add(seen.values, 1.0);
        }
        let factors = factors.get(&seen.map);
        if let Some((histogram, factors)) = found.equalised.get_mut(&seen.map).zip(factors) {
            for (number, values) in seen.values.chunks_exact(height * width).enumerate() {
                histogram.add(values, 1.0 / factors[number % count]);
            }
        }
    })?;
    Ok(found)
}

/// Empty histogram over the ranges of channels, each times its factor.
fn over(channels: &[Channel], factor: impl Fn(usize) -> f32) -> Histogram {
    let scaled = channels.iter().enumerate();
    let ends = scaled.map(|(number, channel)| [channel.least, channel.most].map(|end| end * factor(number)));
    let [least, most] =
        ends.fold([0.0_f32; 2], |[least, most], [low, high]| [least.min(low), most.max(high)]);
    Histogram::new(least, most)
}
