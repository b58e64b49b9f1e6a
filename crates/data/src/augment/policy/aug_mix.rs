//! AugMix.

use residual_arch::Interpolation;
use serde::{Deserialize, Serialize};

use super::random::MOST_OPS;
use super::space::{Bin, MIXED, MIXED_PART, signed};
use crate::augment::draw::Draw;
use crate::augment::fill::Fill;
use crate::augment::rotation::check_interpolation;
use crate::{Chain, Error, Operation, Sampling};

/// AugMix (Hendrycks et al. 2019): the image mixed with some chains of random changes of it, by random weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct AugMix {
    /// Severity: magnitudes come from so many of ten bins, the weakest ones. Default 3.
    pub severity: usize,
    /// Number of chains. Default 3.
    pub mixture_width: usize,
    /// Number of changes in a chain; -1 (the default) for a random one, 1 to 3.
    pub chain_depth: i32,
    /// Parameter of the distributions of the weights. Default 1.
    pub alpha: f64,
    /// True (the default) for changes of brightness, saturation, contrast and sharpness too.
    pub all_ops: bool,
    /// `nearest` or `bilinear` (the default).
    pub interpolation: Interpolation,
    /// Colour outside the image. Default black.
    pub fill: Fill,
}

impl Default for AugMix {
    fn default() -> Self {
        Self {
            severity: 3,
            mixture_width: 3,
            chain_depth: -1,
            alpha: 1.0,
            all_ops: true,
            interpolation: Interpolation::Bilinear,
            fill: Fill::default(),
        }
    }
}

/// Bins of the magnitudes.
const BINS: usize = 10;

impl AugMix {
    /// Changes fields.
    ///
    /// ```
    /// use residual_data::{AugMix, Augment};
    /// let policy = AugMix::default().with(|policy| policy.severity = 5);
    /// assert!(Augment::AugMix(policy).check().is_ok());
    /// ```
    pub fn with<R>(mut self, change: impl FnOnce(&mut Self) -> R) -> Self {
        change(&mut self);
        self
    }

    pub(in crate::augment) fn check(&self) -> Result<(), Error> {
        let invalid = |option, found, expected| Err(Error::InvalidOption { option, found, expected });
        if !(1..=BINS).contains(&self.severity) {
            return invalid("aug_mix.severity", self.severity.to_string(), "1 to 10");
        }
        if !(1..=MOST_OPS).contains(&self.mixture_width) {
            return invalid("aug_mix.mixture_width", self.mixture_width.to_string(), "1 to 32");
        }
        if self.chain_depth > MOST_OPS as i32 {
            return invalid("aug_mix.chain_depth", self.chain_depth.to_string(), "up to 32, or -1");
        }
        if !(self.alpha > 0.0 && self.alpha.is_finite()) {
            return invalid("aug_mix.alpha", self.alpha.to_string(), "a positive number");
        }
        check_interpolation("aug_mix.interpolation", self.interpolation)
    }

    pub(in crate::augment) fn operation(&self, size: [usize; 2], draw: &mut Draw<'_>) -> Operation {
        let [own, changed] = {
            let shares = draw.random.dirichlet(self.alpha, 2);
            [shares[0] as f32, shares[1] as f32]
        };
        let shares = draw.random.dirichlet(self.alpha, self.mixture_width);
        let chain = |share: f64| {
            let depth = match usize::try_from(self.chain_depth) {
                Ok(depth) if depth > 0 => depth,
                _ => 1 + draw.random.below(3) as usize,
            };
            Chain { share: share as f32 * changed, operations: self.chain(size, depth, draw) }
        };
        Operation::Mixture { own, chains: shares.into_iter().map(chain).collect() }
    }

    fn chain(&self, size: [usize; 2], depth: usize, draw: &mut Draw<'_>) -> Vec<Operation> {
        let space = if self.all_ops { MIXED } else { MIXED_PART };
        let sampling = Sampling { interpolation: self.interpolation, fill: self.fill.levels(draw.colours) };
        let operation = |_| {
            let change = space.draw(&mut draw.random);
            let bin = Bin { bin: draw.random.below(self.severity as u64) as usize, bins: BINS };
            let magnitude = space.magnitude(change, bin, size);
            change.operation(signed(change, magnitude, &mut draw.random), &sampling)
        };
        (0..depth).filter_map(operation).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::augment::policy::change::Change;

    /// torchvision's AugMix, with the operations on PIL images: the same weights and chains give the same bits.
    #[test]
    fn mixtures_have_the_bits_of_torchvisions() {
        let text = include_str!("../../../tests/fixtures/augment/policies.txt");
        let photo = include_bytes!("../../../tests/fixtures/augment/photo.png");
        let photo = crate::decode(photo, "photo.png").unwrap();
        let mut compared = 0;
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let parts: Vec<&str> = line.split(' ').collect();
            let image = match parts[0] {
                "photo" => photo.clone(),
                "grey" => photo.window([2, 3], [29, 37]).with_channels(1, "x").unwrap(),
                _ => continue,
            };
            let numbers = |text: &str| -> Vec<f32> {
                text.split(',').map(|number| number.parse::<f64>().unwrap() as f32).collect()
            };
            let (own, shares, depth) = (numbers(parts[1]), numbers(parts[2]), parts[3].parse().unwrap());
            let changes: Vec<&str> = parts[4].split(';').collect();
            let sampling = Sampling { interpolation: Interpolation::Bilinear, fill: vec![0] };
            let operation = |change: &&str| {
                let (name, magnitude) = change.split_once(':').unwrap();
                let named = |change: &&Change| format!("{change:?}") == name;
                let change = MIXED.changes.iter().find(named).unwrap();
                change.operation(magnitude.parse().unwrap(), &sampling)
            };
            let chain = |(share, changes): (&f32, &[&str])| Chain {
                share: share * own[1],
                operations: changes.iter().filter_map(operation).collect(),
            };
            let chains = shares.iter().zip(changes.chunks(depth)).map(chain).collect();
            let mixed = Operation::Mixture { own: own[0], chains }.apply(image, "x").unwrap();
            let step = |hash: u64, &byte: &u8| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
            let hash = mixed.pixels().iter().fold(0xcbf2_9ce4_8422_2325, step);
            assert_eq!(format!("{hash:016x}"), parts[5], "{line}");
            compared += 1;
        }
        assert_eq!(compared, 6);
    }
}
