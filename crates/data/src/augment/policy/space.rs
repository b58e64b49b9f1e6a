//! Magnitudes of the changes, bin by bin.

use residual_random::Random;

use super::change::Change;
use super::change::Change::{
    AutoContrast, Brightness, Color, Contrast, Equalize, Identity, Invert, Posterize, Rotate, Sharpness,
    ShearX, ShearY, Solarize, TranslateX, TranslateY,
};
use crate::{Operation, Sampling};

/// Greatest translation.
#[derive(Clone, Copy, Debug)]
enum Translation {
    /// Pixels.
    Pixels(f32),
    /// Part of the side, as a fraction.
    Share(f64, f64),
}

/// Space of a policy: its changes, and the magnitudes of their last bins; those of the first do nothing, but for
/// `Solarize` and `Posterize`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Space {
    pub(super) changes: &'static [Change],
    /// Slope.
    shear: f32,
    translation: Translation,
    /// Degrees.
    rotation: f32,
    /// Distance of a factor from 1.
    factor: f32,
    /// Bits of the first bin, and how many fewer the last one has.
    bits: [f32; 2],
}

/// RandAugment's.
pub(super) const RANDOM: Space = Space {
    changes: &[
        Identity,
        ShearX,
        ShearY,
        TranslateX,
        TranslateY,
        Rotate,
        Brightness,
        Color,
        Contrast,
        Sharpness,
        Posterize,
        Solarize,
        AutoContrast,
        Equalize,
    ],
    shear: 0.3,
    translation: Translation::Share(150.0, 331.0),
    rotation: 30.0,
    factor: 0.9,
    bits: [8.0, 4.0],
};

/// TrivialAugment-Wide's.
pub(super) const WIDE: Space = Space {
    shear: 0.99,
    translation: Translation::Pixels(32.0),
    rotation: 135.0,
    factor: 0.99,
    bits: [8.0, 6.0],
    ..RANDOM
};

/// AutoAugment's.
pub(super) const LEARNT: Space = Space {
    changes: &[
        ShearX,
        ShearY,
        TranslateX,
        TranslateY,
        Rotate,
        Brightness,
        Color,
        Contrast,
        Sharpness,
        Posterize,
        Solarize,
        AutoContrast,
        Equalize,
        Invert,
    ],
    ..RANDOM
};

/// AugMix's, with all changes.
pub(super) const MIXED: Space = Space {
    changes: &[
        ShearX,
        ShearY,
        TranslateX,
        TranslateY,
        Rotate,
        Posterize,
        Solarize,
        AutoContrast,
        Equalize,
        Brightness,
        Color,
        Contrast,
        Sharpness,
    ],
    translation: Translation::Share(1.0, 3.0),
    bits: [4.0, 4.0],
    ..RANDOM
};

/// AugMix's, without those that its test sets have.
pub(super) const MIXED_PART: Space = Space {
    changes: &[ShearX, ShearY, TranslateX, TranslateY, Rotate, Posterize, Solarize, AutoContrast, Equalize],
    ..MIXED
};

/// A bin of so many.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bin {
    pub(super) bin: usize,
    pub(super) bins: usize,
}

impl Space {
    /// Magnitude of a bin, without its sign, for an image of `[height, width]`; `None` for a change that has none.
    pub(super) fn magnitude(&self, change: Change, bin: Bin, [height, width]: [usize; 2]) -> Option<f32> {
        let translation = |side: usize| match self.translation {
            Translation::Pixels(pixels) => pixels,
            Translation::Share(1.0, of) => (side as f64 / of) as f32,
            Translation::Share(part, of) => (part / of * side as f64) as f32,
        };
        Some(match change {
            ShearX | ShearY => bin.between(0.0, self.shear),
            TranslateX => bin.between(0.0, translation(width)),
            TranslateY => bin.between(0.0, translation(height)),
            Rotate => bin.between(0.0, self.rotation),
            Brightness | Color | Contrast | Sharpness => bin.between(0.0, self.factor),
            Solarize => bin.between(1.0, 0.0),
            Posterize => {
                let [most, fewer] = self.bits;
                let step = ((bin.bins - 1) as f64 / f64::from(fewer)) as f32;
                (most - bin.bin as f32 / step).round_ties_even()
            }
            Identity | AutoContrast | Equalize | Invert => return None,
        })
    }

    /// A random change of this bin's magnitude, for an image of `[height, width]`; `None` for identity.
    pub(super) fn operation(
        &self,
        bin: Bin,
        size: [usize; 2],
        sampling: &Sampling,
        random: &mut Random,
    ) -> Option<Operation> {
        let change = self.draw(random);
        let magnitude = self.magnitude(change, bin, size);
        change.operation(signed(change, magnitude, random), sampling)
    }

    /// A change, each as likely as the others.
    pub(super) fn draw(&self, random: &mut Random) -> Change {
        self.changes[random.below(self.changes.len() as u64) as usize]
    }
}

/// Magnitude with a random sign where it has one; 0 where there is none.
pub(super) fn signed(change: Change, magnitude: Option<f32>, random: &mut Random) -> f64 {
    let magnitude = f64::from(magnitude.unwrap_or(0.0));
    match change.is_signed() && random.chance(0.5) {
        true => -magnitude,
        false => magnitude,
    }
}

impl Bin {
    /// Value of the bin, of as many that are evenly spaced from `first` to `last`, with the bits of `torch.linspace`:
    /// from the nearer end, rounded once.
    fn between(self, first: f32, last: f32) -> f32 {
        let step = f64::from((last - first) / (self.bins - 1) as f32);
        match self.bin < self.bins / 2 {
            true => (f64::from(first) + step * self.bin as f64) as f32,
            false => (f64::from(last) - step * (self.bins - 1 - self.bin) as f64) as f32,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every magnitude of torchvision's tables, for an image of 160 x 224.
    #[test]
    fn magnitudes_have_the_bits_of_torchvisions() {
        let text = include_str!("../../../tests/fixtures/augment/tables.txt");
        let mut compared = 0;
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let parts: Vec<&str> = line.split(' ').collect();
            let (space, bins) = match parts[0] {
                "rand_augment" => (RANDOM, 31),
                "rand_augment_15" => (RANDOM, 15),
                "trivial_augment_wide" => (WIDE, 31),
                "auto_augment" => (LEARNT, 10),
                "aug_mix" => (MIXED, 10),
                _ => continue,
            };
            let named = |change: &&Change| format!("{change:?}") == parts[1];
            let change = *space.changes.iter().find(named).unwrap_or_else(|| panic!("{line}"));
            assert_eq!(change.is_signed(), parts[2] == "1", "{line}");
            let found: Option<Vec<f32>> =
                (0..bins).map(|bin| space.magnitude(change, Bin { bin, bins }, [160, 224])).collect();
            let wanted: Option<Vec<f32>> =
                (parts[3] != "-").then(|| parts[3].split(',').map(|value| value.parse().unwrap()).collect());
            assert_eq!(found, wanted, "{line}");
            compared += 1;
        }
        assert_eq!(compared, 14 + 14 + 14 + 14 + 13);
        let order = |policy: &str| -> Vec<&str> {
            let lines = text.lines().filter_map(|line| line.strip_prefix(policy)?.strip_prefix(' '));
            lines.map(|line| line.split(' ').next().unwrap()).collect()
        };
        for (policy, space) in [
            ("rand_augment", RANDOM),
            ("trivial_augment_wide", WIDE),
            ("auto_augment", LEARNT),
            ("aug_mix", MIXED),
        ] {
            let found: Vec<String> = space.changes.iter().map(|change| format!("{change:?}")).collect();
            assert_eq!(found, order(policy), "{policy}");
        }
        assert!(MIXED.changes.starts_with(MIXED_PART.changes));
    }
}
