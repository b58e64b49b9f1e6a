//! AutoAugment.

use residual_arch::Interpolation;
use serde::{Deserialize, Serialize};

use super::learnt::{CIFAR10, IMAGENET, Pair, SVHN, Step};
use super::space::{Bin, LEARNT, signed};
use crate::augment::draw::Draw;
use crate::augment::fill::Fill;
use crate::augment::rotation::{check_interpolation, nearest};
use crate::{Error, Operation, Sampling};

/// AutoAugment (Cubuk et al. 2018): one of 25 pairs of changes, each of which comes with its probability and magnitude.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct AutoAugment {
    /// Data on which the pairs were learnt. Default `imagenet`.
    pub policy: AutoAugmentPolicy,
    /// `nearest` (the default) or `bilinear`.
    pub interpolation: Interpolation,
    /// Colour outside the image. Default black.
    pub fill: Fill,
}

/// Data on which a policy of [`AutoAugment`] was learnt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum AutoAugmentPolicy {
    /// ImageNet.
    #[default]
    Imagenet,
    /// CIFAR-10.
    Cifar10,
    /// Street View House Numbers.
    Svhn,
}

impl AutoAugmentPolicy {
    fn pairs(self) -> &'static [Pair; 25] {
        match self {
            Self::Imagenet => &IMAGENET,
            Self::Cifar10 => &CIFAR10,
            Self::Svhn => &SVHN,
        }
    }
}

impl Default for AutoAugment {
    fn default() -> Self {
        Self { policy: AutoAugmentPolicy::Imagenet, interpolation: nearest(), fill: Fill::default() }
    }
}

/// Bins of the magnitudes.
const BINS: usize = 10;

impl AutoAugment {
    /// Changes fields.
    ///
    /// ```
    /// use residual_data::{Augment, AutoAugment};
    /// let policy = AutoAugment::default().with(|policy| policy.policy = residual_data::AutoAugmentPolicy::Svhn);
    /// assert!(Augment::AutoAugment(policy).check().is_ok());
    /// ```
    pub fn with<R>(mut self, change: impl FnOnce(&mut Self) -> R) -> Self {
        change(&mut self);
        self
    }

    pub(in crate::augment) fn check(&self) -> Result<(), Error> {
        check_interpolation("auto_augment.interpolation", self.interpolation)
    }

    pub(in crate::augment) fn operations(&self, size: [usize; 2], draw: &mut Draw<'_>) -> Vec<Operation> {
        let sampling = Sampling { interpolation: self.interpolation, fill: self.fill.levels(draw.colours) };
        let pairs = self.policy.pairs();
        let pair = &pairs[draw.random.below(pairs.len() as u64) as usize];
        let operation = |step: &Step| {
            if !draw.random.chance(step.probability) {
                return None;
            }
            let magnitude = LEARNT.magnitude(step.change, Bin { bin: step.bin, bins: BINS }, size);
            let magnitude = signed(step.change, magnitude, &mut draw.random);
            step.change.operation(magnitude, &sampling)
        };
        pair.iter().filter_map(operation).collect()
    }
}

#[cfg(test)]
mod tests {
    use residual_random::Key;

    use super::super::change::Change;
    use super::*;
    use crate::augment::fill::Colours;

    /// Operations of many images are as many as the 25 pairs and their probabilities say.
    #[test]
    fn every_pair_is_as_likely_as_the_others() {
        const DRAWS: u64 = 20_000;
        let colours = Colours { mean: vec![0.5; 3], std: vec![0.25; 3] };
        for policy in [AutoAugmentPolicy::Imagenet, AutoAugmentPolicy::Cifar10, AutoAugmentPolicy::Svhn] {
            let augment = AutoAugment { policy, ..AutoAugment::default() };
            let mut found = [0.0; 4];
            for index in 0..DRAWS {
                let mut draw = Draw { random: Key::named("auto").child(index).stream(), colours: &colours };
                for operation in augment.operations([100, 100], &mut draw) {
                    let kinds = [
                        matches!(operation, Operation::Invert),
                        matches!(operation, Operation::Equalize),
                        matches!(operation, Operation::Rotate(..)),
                        true,
                    ];
                    found.iter_mut().zip(kinds).for_each(|(count, is)| *count += f64::from(u8::from(is)));
                }
            }
            let steps = || policy.pairs().iter().flatten();
            let of = |change| {
                steps().filter(|step| step.change == change).map(|step| step.probability / 25.0).sum()
            };
            let all: f64 = steps().map(|step| step.probability / 25.0).sum();
            let wanted: [f64; 4] = [of(Change::Invert), of(Change::Equalize), of(Change::Rotate), all];
            for (found, wanted) in found.iter().zip(wanted) {
                let share = found / DRAWS as f64;
                // Four standard errors of a count of at most two an image.
                let error = 4.0 * (2.0 * wanted / DRAWS as f64).sqrt();
                assert!((share - wanted).abs() <= error, "{policy:?}: {share} of {wanted}");
            }
        }
    }
}
