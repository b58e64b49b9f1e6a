//! Keys, and the draws of a key.

use crate::Random;

/// Increment of SplitMix64: 2^64 divided by the golden ratio.
const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

/// Finaliser of SplitMix64, a bijection of 64 bits.
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Draw `index` of a key: 64 bits.
pub(crate) fn draw(key: u64, index: u64) -> u64 {
    mix(key.wrapping_add(index.wrapping_add(1).wrapping_mul(GAMMA)))
}

/// Top 53 bits as a number in `[0, 1)`.
pub(crate) fn unit(bits: u64) -> f64 {
    (bits >> 11) as f64 / (1u64 << 53) as f64
}

/// Key of random numbers. Two keys that are made of different names or numbers share no draw but by chance.
///
/// ```
/// use residual_random::Key;
/// let step = Key::named("dropout").child(7);
/// assert_eq!(step.uniform(3), step.uniform(3));
/// assert_ne!(step.uniform(3), step.uniform(4));
/// assert_ne!(step.uniform(3), Key::named("dropout").child(8).uniform(3));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key(u64);

impl Key {
    /// Key of a name: its FNV-1a hash.
    pub fn named(name: &str) -> Self {
        Self(name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        }))
    }

    /// Key of some numbers in order, hashed one by one: `k = mix((k ^ number) + GAMMA)`.
    pub fn of_numbers(numbers: impl IntoIterator<Item = u64>) -> Self {
        Self(numbers.into_iter().fold(0, |key, number| draw(key ^ number, 0)))
    }

    /// Key made of this one and a number.
    pub fn child(self, number: u64) -> Self {
        Self(draw(mix(self.0), number))
    }

    /// Uniform draw `index` from `[0, 1)`, 53 bits.
    pub fn uniform(self, index: u64) -> f64 {
        unit(self.child(index).0)
    }

    /// Normal draw `index`, with mean 0 and variance 1 (Box and Muller 1958).
    pub fn normal(self, index: u64) -> f64 {
        let [u, v] = [2 * index, 2 * index + 1].map(|i| self.uniform(i));
        (-2.0 * (1.0 - u).ln()).sqrt() * (std::f64::consts::TAU * v).cos()
    }

    /// Stream of random numbers that belongs to the key, at its beginning.
    pub fn stream(self) -> Random {
        Random::new(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_uniform_and_depend_on_everything() {
        let key = Key::named("use").child(3).child(5);
        let draws: Vec<f64> = (0..20_000).map(|i| key.uniform(i)).collect();
        assert!(draws.iter().all(|u| (0.0..1.0).contains(u)));
        let mean = draws.iter().sum::<f64>() / 20_000.0;
        let variance = draws.iter().map(|u| (u - mean).powi(2)).sum::<f64>() / 20_000.0;
        assert!((mean - 0.5).abs() < 0.01, "{mean}");
        assert!((variance - 1.0 / 12.0).abs() < 0.003, "{variance}");
        for other in [
            Key::named("use").child(4).child(5),
            Key::named("use").child(3).child(6),
            Key::named("use").child(5).child(3),
            Key::named("other").child(3).child(5),
        ] {
            assert_ne!(key.uniform(0), other.uniform(0));
        }
    }

    #[test]
    fn normal_draws_have_unit_variance() {
        let key = Key::named("use").child(3);
        let draws: Vec<f64> = (0..20_000).map(|i| key.normal(i)).collect();
        let mean = draws.iter().sum::<f64>() / 20_000.0;
        let variance = draws.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 20_000.0;
        assert!(mean.abs() < 0.03, "{mean}");
        assert!((variance - 1.0).abs() < 0.04, "{variance}");
    }

    #[test]
    fn the_draws_are_fixed_for_good() {
        // What networks of earlier builds began with.
        let draw = Key::named("stem.conv0.weight").child(7).uniform(0);
        assert_eq!(draw.to_bits(), 0x3fb0_ce21_c3c2_ccb0, "{draw}");
    }
}
