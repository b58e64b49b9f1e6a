//! RandAugment and TrivialAugment.

use residual_arch::Interpolation;
use serde::{Deserialize, Serialize};

use super::space::{Bin, RANDOM, WIDE};
use crate::augment::draw::Draw;
use crate::augment::fill::Fill;
use crate::augment::rotation::{check_interpolation, nearest};
use crate::{Error, Operation, Sampling};

/// RandAugment (Cubuk et al. 2019): `num_ops` random changes after one another, all of one magnitude.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct RandAugment {
    /// Number of changes. Default 2.
    #[serde(alias = "ops")]
    pub num_ops: usize,
    /// Magnitude: the number of a bin, from 0. Default 9.
    pub magnitude: usize,
    /// Number of bins. Default 31.
    pub num_magnitude_bins: usize,
    /// `nearest` (the default) or `bilinear`.
    pub interpolation: Interpolation,
    /// Colour outside the image. Default black.
    pub fill: Fill,
}

impl Default for RandAugment {
    fn default() -> Self {
        Self {
            num_ops: 2,
            magnitude: 9,
            num_magnitude_bins: 31,
            interpolation: nearest(),
            fill: Fill::default(),
        }
    }
}

/// Limit on the number of changes, and of chains.
pub(super) const MOST_OPS: usize = 32;

/// Limit on the number of bins.
const MOST_BINS: usize = 1 << 16;

fn check_bins(option: &'static str, bins: usize) -> Result<(), Error> {
    match (2..=MOST_BINS).contains(&bins) {
        true => Ok(()),
        false => Err(Error::InvalidOption { option, found: bins.to_string(), expected: "2 to 65536" }),
    }
}

impl RandAugment {
    /// Changes fields.
    ///
    /// ```
    /// use residual_data::{Augment, RandAugment};
    /// let policy = RandAugment::default().with(|policy| policy.magnitude = 15);
    /// assert!(Augment::RandAugment(policy).check().is_ok());
    /// ```
    pub fn with<R>(mut self, change: impl FnOnce(&mut Self) -> R) -> Self {
        change(&mut self);
        self
    }

    pub(in crate::augment) fn check(&self) -> Result<(), Error> {
        check_bins("rand_augment.num_magnitude_bins", self.num_magnitude_bins)?;
        let invalid = |option, found: usize, expected| {
            Err(Error::InvalidOption { option, found: found.to_string(), expected })
        };
        if self.magnitude >= self.num_magnitude_bins {
            return invalid("rand_augment.magnitude", self.magnitude, "less than num_magnitude_bins");
        }
        if self.num_ops > MOST_OPS {
            return invalid("rand_augment.num_ops", self.num_ops, "0 to 32");
        }
        check_interpolation("rand_augment.interpolation", self.interpolation)
    }

    pub(in crate::augment) fn operations(&self, size: [usize; 2], draw: &mut Draw<'_>) -> Vec<Operation> {
        let sampling = Sampling { interpolation: self.interpolation, fill: self.fill.levels(draw.colours) };
        let bin = Bin { bin: self.magnitude, bins: self.num_magnitude_bins };
        (0..self.num_ops).filter_map(|_| RANDOM.operation(bin, size, &sampling, &mut draw.random)).collect()
    }
}

/// TrivialAugment-Wide (Müller and Hutter 2021): one random change of a random magnitude.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct TrivialAugmentWide {
    /// Number of bins. Default 31.
    pub num_magnitude_bins: usize,
    /// `nearest` (the default) or `bilinear`.
    pub interpolation: Interpolation,
    /// Colour outside the image. Default black.
    pub fill: Fill,
}

impl Default for TrivialAugmentWide {
    fn default() -> Self {
        Self { num_magnitude_bins: 31, interpolation: nearest(), fill: Fill::default() }
    }
}

impl TrivialAugmentWide {
    /// Changes fields.
    ///
    /// ```
    /// use residual_data::{Augment, TrivialAugmentWide};
    /// let policy = TrivialAugmentWide::default().with(|policy| policy.num_magnitude_bins = 16);
    /// assert!(Augment::TrivialAugmentWide(policy).check().is_ok());
    /// ```
    pub fn with<R>(mut self, change: impl FnOnce(&mut Self) -> R) -> Self {
        change(&mut self);
        self
    }

    pub(in crate::augment) fn check(&self) -> Result<(), Error> {
        check_bins("trivial_augment_wide.num_magnitude_bins", self.num_magnitude_bins)?;
        check_interpolation("trivial_augment_wide.interpolation", self.interpolation)
    }

    pub(in crate::augment) fn operations(&self, size: [usize; 2], draw: &mut Draw<'_>) -> Vec<Operation> {
        let sampling = Sampling { interpolation: self.interpolation, fill: self.fill.levels(draw.colours) };
        let bins = self.num_magnitude_bins;
        let bin = Bin { bin: draw.random.below(bins as u64) as usize, bins };
        WIDE.operation(bin, size, &sampling, &mut draw.random).into_iter().collect()
    }
}
