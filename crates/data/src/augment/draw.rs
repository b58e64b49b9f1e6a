//! Parameters drawn from a key.

use residual_random::Random;

use super::fill::Colours;
use crate::random::Use;
use crate::{Error, Operation};

/// Key of what is drawn for a sample: a function of these numbers alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct SampleKey {
    /// Seed of the training.
    pub seed: u64,
    /// Number of the epoch, from 0.
    pub epoch: u64,
    /// Place of the image in its source.
    pub index: u64,
    /// Number of the repetition in the epoch, from 0, where images are repeated.
    pub repetition: u64,
}

impl SampleKey {
    /// Key of an image that comes once in an epoch.
    pub fn new(seed: u64, epoch: u64, index: u64) -> Self {
        Self { seed, epoch, index, repetition: 0 }
    }

    /// Changes fields.
    ///
    /// ```
    /// use residual_data::SampleKey;
    /// let second = SampleKey::new(7, 0, 3).with(|key| key.repetition = 1);
    /// assert_ne!(second, SampleKey::new(7, 0, 3));
    /// ```
    pub fn with<R>(mut self, change: impl FnOnce(&mut Self) -> R) -> Self {
        change(&mut self);
        self
    }

    /// Stream of the augmentation at a position of the list.
    pub(super) fn stream(self, position: usize) -> Random {
        let key = Use::Augment(position as u32).key([self.seed, self.epoch, self.index]);
        match self.repetition {
            0 => key.stream(),
            repetition => key.child(repetition).stream(),
        }
    }
}

/// Source of an augmentation's parameters for one image.
pub(super) struct Draw<'a> {
    pub(super) random: Random,
    pub(super) colours: &'a Colours,
}

impl Draw<'_> {
    /// Number in `[low, high)`.
    pub(super) fn between(&mut self, [low, high]: [f64; 2]) -> f64 {
        self.random.between(low, high)
    }

    /// The operation with this probability, else none.
    pub(super) fn with(&mut self, probability: f64, operation: Operation) -> Vec<Operation> {
        self.random.chance(probability).then_some(operation).into_iter().collect()
    }
}

/// Checks a probability.
pub(super) fn check_probability(option: &'static str, probability: f64) -> Result<(), Error> {
    match (0.0..=1.0).contains(&probability) {
        true => Ok(()),
        false => Err(Error::InvalidOption { option, found: probability.to_string(), expected: "0 to 1" }),
    }
}

/// Checks a range of positive numbers.
pub(super) fn check_range(
    option: &'static str,
    [low, high]: [f64; 2],
    most: f64,
    expected: &'static str,
) -> Result<(), Error> {
    match low > 0.0 && low <= high && high <= most {
        true => Ok(()),
        false => Err(Error::InvalidOption { option, found: format!("{:?}", [low, high]), expected }),
    }
}
