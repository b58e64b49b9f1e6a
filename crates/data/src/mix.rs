//! Mixing of the images of a batch with one another.

use std::ops::Range;

use residual_random::{Key, Random};
use serde::{Deserialize, Serialize};

use crate::{Batch, Error};

/// Mixup (Zhang et al. 2017) and CutMix (Yun et al. 2019): each image of a batch is mixed with the one at the same place
/// from the batch's end, and its label with that one's. Names and meaning are those of timm's `Mixup`.
///
/// ```toml
/// [mix]
/// mixup = 0.2
/// cutmix = 1.0
/// ```
///
/// Mixup is `share x + (1 - share) other`, with a share of the distribution Beta(`mixup`, `mixup`). CutMix puts a part of
/// the other image into this one, of a share of the area that is drawn from Beta(`cutmix`, `cutmix`); the label's weight is
/// the share that remained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Mix {
    /// Parameter of mixup's distribution, 0 for no mixup. Default 0.
    pub mixup: f64,
    /// Parameter of CutMix's distribution, 0 for no CutMix. Default 0.
    pub cutmix: f64,
    /// Least and greatest share of either side that CutMix cuts, in place of a share of the area. Default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cutmix_minmax: Option<[f64; 2]>,
    /// Probability that a batch, a pair or an image is mixed. Default 1.
    #[serde(alias = "prob")]
    pub probability: f64,
    /// Probability of CutMix in place of mixup, where both are on. Default 0.5.
    #[serde(alias = "switch_prob")]
    pub switch: f64,
    /// Draw for the batch, for each pair of images or for each image. Default `batch`.
    pub mode: MixMode,
}

/// Images that one draw of [`Mix`] is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum MixMode {
    /// All of a batch.
    #[default]
    Batch,
    /// Two that are mixed with each other.
    Pair,
    /// One.
    #[serde(alias = "elem")]
    Element,
}

impl Default for Mix {
    fn default() -> Self {
        Self {
            mixup: 0.0,
            cutmix: 0.0,
            cutmix_minmax: None,
            probability: 1.0,
            switch: 0.5,
            mode: MixMode::Batch,
        }
    }
}

/// Other image's part in a mixed one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Partner {
    /// Label of the other image.
    pub label: usize,
    /// Share of the other image, 0 to 1; the image's own label has the rest.
    pub share: f64,
}

impl Mix {
    /// Changes fields.
    ///
    /// ```
    /// use residual_data::Mix;
    /// let mix = Mix::default().with(|mix| (mix.mixup, mix.cutmix) = (0.8, 1.0));
    /// assert!(mix.check().is_ok());
    /// ```
    pub fn with<R>(mut self, change: impl FnOnce(&mut Self) -> R) -> Self {
        change(&mut self);
        self
    }

    /// Checks the values.
    ///
    /// # Errors
    /// [`Error::InvalidOption`]: neither mixup nor CutMix, a negative parameter, a probability outside 0 to 1.
    pub fn check(&self) -> Result<(), Error> {
        let invalid = |option, found, expected| Err(Error::InvalidOption { option, found, expected });
        for (option, alpha) in [("mix.mixup", self.mixup), ("mix.cutmix", self.cutmix)] {
            if !(alpha >= 0.0 && alpha.is_finite()) {
                return invalid(option, alpha.to_string(), "0, or the parameter of a beta distribution");
            }
        }
        for (option, probability) in [("mix.probability", self.probability), ("mix.switch", self.switch)] {
            if !(0.0..=1.0).contains(&probability) {
                return invalid(option, probability.to_string(), "0 to 1");
            }
        }
        match self.cutmix_minmax {
            Some([least, greatest]) if !(0.0 <= least && least <= greatest && greatest <= 1.0) => invalid(
                "mix.cutmix_minmax",
                format!("{:?}", [least, greatest]),
                "0 <= least <= greatest <= 1",
            ),
            None if self.mixup == 0.0 && self.cutmix == 0.0 => {
                invalid("mix", "mixup = 0 with cutmix = 0".into(), "one of them above 0")
            }
            _ => Ok(()),
        }
    }

    /// Mixes the images of a batch, by what is drawn from the key. The middle one of an odd number stays as it is.
    pub(crate) fn apply(&self, batch: &mut Batch, key: Key) {
        let [images, _, height, width] = batch.shape;
        let mut random = key.stream();
        let mut draw = || self.draw([height, width], &mut random);
        let whole = (self.mode == MixMode::Batch).then(&mut draw);
        let mut drawn: Vec<Option<Drawn>> = vec![None; images];
        for first in 0..images / 2 {
            let second = images - 1 - first;
            let one = match &whole {
                Some(whole) => whole.clone(),
                None => draw(),
            };
            drawn[second] = if self.mode == MixMode::Element { draw() } else { one.clone() };
            drawn[first] = one;
        }
        if drawn.iter().any(Option::is_some) {
            mix(batch, &drawn);
        }
    }

    fn draw(&self, size: [usize; 2], random: &mut Random) -> Option<Drawn> {
        if !random.chance(self.probability) {
            return None;
        }
        // With least and greatest sides, the share of the area is only drawn to be replaced.
        let cutmix = if self.cutmix_minmax.is_some() { 1.0 } else { self.cutmix };
        let cuts = match (self.mixup > 0.0, cutmix > 0.0) {
            (true, true) => random.chance(self.switch),
            (mixes, _) => !mixes,
        };
        if !cuts {
            return Some(Drawn::Mixup { share: random.beta(self.mixup, self.mixup) });
        }
        let share = random.beta(cutmix, cutmix);
        let [rows, columns] = match self.cutmix_minmax {
            Some(ends) => size.map(|side| side_between(side, ends, random)),
            None => size.map(|side| {
                let centre = random.below(side as u64) as usize;
                side_of_share(side, share, centre)
            }),
        };
        Some(Drawn::Cutmix { rows, columns })
    }
}

/// Rows or columns of a part whose area is `1 - share` of the image's, about a centre, as far as they are in the image.
fn side_of_share(side: usize, share: f64, centre: usize) -> Range<usize> {
    let cut = (side as f64 * (1.0 - share).sqrt()) as usize;
    centre.saturating_sub(cut / 2)..(centre + cut.div_ceil(2)).min(side)
}

/// Rows or columns of a part, between two shares of the side.
fn side_between(side: usize, ends: [f64; 2], random: &mut Random) -> Range<usize> {
    let [least, greatest] = ends.map(|share| (side as f64 * share) as usize);
    let cut = least + random.below((greatest - least).max(1) as u64) as usize;
    let start = random.below((side - cut) as u64 + 1) as usize;
    start..start + cut
}

/// Mixture that was drawn for an image.
#[derive(Clone, Debug, PartialEq)]
enum Drawn {
    Mixup { share: f64 },
    Cutmix { rows: Range<usize>, columns: Range<usize> },
}

impl Drawn {
    /// Share of the image itself that remains, of `[height, width]`.
    fn remains(&self, [height, width]: [usize; 2]) -> f64 {
        match self {
            Self::Mixup { share } => *share,
            Self::Cutmix { rows, columns } => {
                1.0 - (rows.len() * columns.len()) as f64 / (height * width) as f64
            }
        }
    }

    /// Mixes `other` into `image`, both `[channels, height, width]`.
    fn mix(&self, image: &mut [f32], other: &[f32], [height, width]: [usize; 2]) {
        match self {
            Self::Mixup { share } => {
                let (own, rest) = (*share as f32, (1.0 - share) as f32);
                image.iter_mut().zip(other).for_each(|(value, other)| *value = *value * own + other * rest);
            }
            Self::Cutmix { rows, columns } => {
                let planes = image.chunks_exact_mut(height * width).zip(other.chunks_exact(height * width));
                for (plane, other) in planes {
                    for row in rows.clone() {
                        let part = row * width + columns.start..row * width + columns.end;
                        plane[part.clone()].copy_from_slice(&other[part]);
                    }
                }
            }
        }
    }
}

/// Mixes each image with the one at the same place from the end.
fn mix(batch: &mut Batch, drawn: &[Option<Drawn>]) {
    let [images, channels, height, width] = batch.shape;
    let (size, length) = ([height, width], channels * height * width);
    for first in 0..images / 2 {
        let second = images - 1 - first;
        let (front, back) = batch.images.split_at_mut(second * length);
        let (a, b) = (&mut front[first * length..(first + 1) * length], &mut back[..length]);
        let own = a.to_vec();
        if let Some(drawn) = &drawn[first] {
            drawn.mix(a, b, size);
        }
        if let Some(drawn) = &drawn[second] {
            drawn.mix(b, &own, size);
        }
    }
    let partner = |(place, drawn): (usize, &Option<Drawn>)| Partner {
        label: batch.labels[images - 1 - place],
        share: drawn.as_ref().map_or(0.0, |drawn| 1.0 - drawn.remains(size)),
    };
    batch.partners = drawn.iter().enumerate().map(partner).collect();
    let width = batch.targets.len() / images.max(1);
    if width > 0 {
        let own = batch.targets.clone();
        let rows =
            batch.targets.chunks_exact_mut(width).zip(own.chunks_exact(width).rev()).zip(&batch.partners);
        for ((row, other), Partner { share, .. }) in rows {
            row.iter_mut().zip(other).for_each(|(own, other)| *own = *own * (1.0 - share) + other * share);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(shape: [usize; 4], labels: Vec<usize>) -> Batch {
        let values = (0..shape.iter().product::<usize>()).map(|at| at as f32 / 7.0 - 3.0).collect();
        Batch::new(values, shape, labels)
    }

    /// timm's Mixup, with the share and the centre that it drew.
    #[test]
    fn images_and_labels_are_mixed_as_timm_mixes_them() {
        let text = include_str!("../tests/fixtures/augment/mix.txt");
        let mut compared = 0;
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let parts: Vec<&str> = line.split(' ').collect();
            let whole = |at: usize| parts[at].parse::<usize>().unwrap();
            let [images, height, width] = [0, 1, 2].map(whole);
            let share: f64 = parts[4].parse().unwrap();
            let drawn = match parts[3] {
                "mixup" => Drawn::Mixup { share },
                _ => {
                    let rows = side_of_share(height, share, whole(5));
                    let columns = side_of_share(width, share, whole(6));
                    let found =
                        [rows.start, rows.end, columns.start, columns.end].map(|edge| edge.to_string());
                    assert_eq!(found.join(","), parts[7], "{line}");
                    Drawn::Cutmix { rows, columns }
                }
            };
            let labels: Vec<usize> = parts[9].split(',').map(|label| label.parse().unwrap()).collect();
            let mut batch = batch([images, 1, height, width], labels);
            mix(&mut batch, &vec![Some(drawn); images]);
            let bytes = batch.images.iter().flat_map(|value| value.to_le_bytes());
            let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
            assert_eq!(format!("{:016x}", bytes.fold(0xcbf2_9ce4_8422_2325, step)), parts[10], "{line}");
            let corrected: f64 = parts[8].parse().unwrap();
            let targets: Vec<f64> = parts[11].split(',').map(|target| target.parse().unwrap()).collect();
            for (place, target) in targets.chunks(3).enumerate() {
                let Partner { label, share } = batch.partners[place];
                assert!((1.0 - share - corrected).abs() < 1e-12, "{line}");
                for (class, &wanted) in target.iter().enumerate() {
                    let one = |label: usize| if label == class { 0.9 + 0.1 / 3.0 } else { 0.1 / 3.0 };
                    let found = one(batch.labels[place]) * (1.0 - share) + one(label) * share;
                    assert!((found - wanted).abs() < 1e-6, "{line}");
                }
            }
            compared += 1;
        }
        assert_eq!(compared, 24);
    }

    #[test]
    fn targets_are_mixed_by_the_shares() {
        let mut batch = batch([3, 1, 4, 4], vec![0, 0, 0]);
        batch.targets = vec![1.0, 0.0, 5.0, 5.0, 0.0, 8.0];
        mix(&mut batch, &[Some(Drawn::Mixup { share: 0.75 }), None, Some(Drawn::Mixup { share: 0.5 })]);
        assert_eq!(batch.targets, [0.75, 2.0, 5.0, 5.0, 0.5, 4.0]);
    }

    fn mixed(mix: &Mix, index: u64, images: usize) -> Batch {
        let mut batch = batch([images, 2, 12, 10], (0..images).collect());
        mix.check().unwrap();
        mix.apply(&mut batch, Key::of_numbers([3, index]));
        batch
    }

    #[test]
    fn probabilities_and_shares_are_as_asked_for() {
        let mix = Mix::default()
            .with(|mix| (mix.mixup, mix.cutmix, mix.probability, mix.switch) = (1.0, 1.0, 0.6, 0.25));
        let plain = batch([4, 2, 12, 10], (0..4).collect());
        let (mut cut, mut blended, mut shares) = (0, 0, Vec::new());
        for index in 0..2000 {
            let batch = mixed(&mix, index, 4);
            let Some(first) = batch.partners.first() else {
                assert_eq!(batch, plain);
                continue;
            };
            assert!(batch.partners.iter().all(|partner| partner.share == first.share), "one draw a batch");
            assert_eq!(batch.partners.iter().map(|partner| partner.label).collect::<Vec<_>>(), [3, 2, 1, 0]);
            shares.push(first.share);
            let unmixed = batch.images.iter().zip(&plain.images).filter(|(a, b)| a == b).count();
            match unmixed > batch.images.len() / 50 || first.share == 1.0 {
                true => cut += 1,
                false => blended += 1,
            }
        }
        assert!((1100..1300).contains(&(cut + blended)), "{cut} and {blended}");
        let part = f64::from(cut) / f64::from(cut + blended);
        assert!((0.2..0.3).contains(&part), "{part}");
        let mean = shares.iter().sum::<f64>() / shares.len() as f64;
        // Less than half, for parts beyond the border are not cut.
        assert!((0.4..0.52).contains(&mean), "{mean}");
    }

    #[test]
    fn a_draw_is_for_the_batch_the_pair_or_the_image() {
        for (mode, different) in [(MixMode::Batch, 1), (MixMode::Pair, 3), (MixMode::Element, 6)] {
            let mix = Mix::default().with(|mix| (mix.mixup, mix.mode) = (0.8, mode));
            let batch = mixed(&mix, 0, 7);
            let mut shares: Vec<u64> = batch.partners.iter().map(|partner| partner.share.to_bits()).collect();
            assert_eq!(shares.remove(3), 0, "the middle one");
            shares.sort_unstable();
            shares.dedup();
            assert_eq!(shares.len(), different, "{mode:?}");
            assert_eq!(batch, mixed(&mix, 0, 7));
            assert_ne!(batch, mixed(&mix, 1, 7));
        }
        let alone = Mix::default().with(|mix| mix.cutmix = 1.0);
        assert_eq!(mixed(&alone, 0, 1).images, batch([1, 2, 12, 10], vec![0]).images);
        assert!(mixed(&alone, 0, 0).partners.is_empty());
    }

    #[test]
    fn sides_are_between_their_shares() {
        let mix = Mix::default().with(|mix| mix.cutmix_minmax = Some([0.3, 0.8]));
        for index in 0..300 {
            let share = mixed(&mix, index, 2).partners[0].share;
            // 3 to 8 of 12 rows, 3 to 7 of 10 columns.
            assert!((8.9 / 120.0..56.1 / 120.0).contains(&share), "{share}");
        }
    }

    #[test]
    fn impossible_values_are_refused_and_a_table_reads() {
        let read = |text: &str| toml::from_str::<Mix>(text);
        let mix =
            read("mixup = 0.2\ncutmix = 1.0\nprobability = 0.9\nswitch = 0.4\nmode = \"element\"").unwrap();
        assert_eq!((mix.mixup, mix.mode), (0.2, MixMode::Element));
        assert_eq!(read(&toml::to_string(&mix).unwrap()).unwrap(), mix);
        assert_eq!(read("mixup = 0.2\nmode = \"elem\"\nswitch_prob = 0.1").unwrap().switch, 0.1);
        assert!(read("mixup_alpha = 0.2").is_err());
        for text in [
            "",
            "mixup = -0.1",
            "cutmix = inf",
            "mixup = 1.0\nprobability = 1.5",
            "cutmix_minmax = [0.8, 0.3]",
        ] {
            let error = read(text).unwrap().check().unwrap_err();
            assert!(matches!(error, Error::InvalidOption { .. }), "{text}: {error}");
        }
    }
}
