//! Keys of the random numbers that data need: (seed, epoch, place, use).

use residual_random::Key;

/// Use of random numbers. Two uses never share a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Use {
    /// Holding out images of a class, whose label is the place.
    Split,
    /// Order of an epoch; the place is 0.
    Shuffle,
    /// Augmentation at this position of the list; the place is the sample's.
    Augment(u32),
    /// Mixing of a batch, whose number is the place.
    Mix,
    /// Images of a class in a balanced epoch, with the class as the place; their order with the greatest one.
    Balance,
}

impl Use {
    fn code(self) -> u64 {
        match self {
            Self::Split => 1 << 32,
            Self::Shuffle => 2 << 32,
            Self::Augment(position) => 3 << 32 | u64::from(position),
            Self::Mix => 16 << 32,
            Self::Balance => 17 << 32,
        }
    }

    /// Key of this use. Runs are resumed by later builds: the same numbers give the same key for good.
    pub(crate) fn key(self, [seed, epoch, place]: [u64; 3]) -> Key {
        Key::of_numbers([seed, epoch, place, self.code()])
    }
}
