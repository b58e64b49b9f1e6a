//! Counter-based randomness: every draw is a function of (seed, epoch, index, use) and of how many
//! draws were made under that key before it. Nothing is carried from one sample to the next, so
//! results do not depend on threads, on order, or on where a run was interrupted.

/// What a stream of random numbers is for. Two uses never share a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Use {
    /// Splitting one folder into training and validation images; `index` is the class.
    Split,
    /// The order of an epoch; `index` is 0.
    Shuffle,
    /// The augmentation at this position of the list; `index` is the sample.
    Augment(u32),
    /// Initial weights; `index` is the tensor.
    Weights,
    /// Stochastic depth of the block with this number; `index` is the sample or the step.
    StochasticDepth(u32),
    /// Dropout of the layer with this number; `index` is the sample or the step.
    Dropout(u32),
}

impl Use {
    fn code(self) -> u64 {
        match self {
            Self::Split => 1 << 32,
            Self::Shuffle => 2 << 32,
            Self::Augment(position) => 3 << 32 | u64::from(position),
            Self::Weights => 4 << 32,
            Self::StochasticDepth(block) => 5 << 32 | u64::from(block),
            Self::Dropout(layer) => 6 << 32 | u64::from(layer),
        }
    }
}

/// The increment of SplitMix64 (Steele, Lea and Flood 2014): 2^64 divided by the golden ratio.
const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

/// SplitMix64's finaliser, a bijection of 64 bits.
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A stream of random numbers that belongs to one key.
///
/// The key is hashed word by word, `k = mix((k ^ word) + GAMMA)`; draw number i is SplitMix64 in
/// counter mode, `mix(k + (i + 1) * GAMMA)`.
///
/// ```
/// use residual_data::random::{Random, Use};
/// let draw = |index| Random::new(7, 0, index, Use::Augment(0)).uniform();
/// assert_eq!(draw(3), draw(3));
/// assert_ne!(draw(3), draw(4));
/// ```
#[derive(Clone, Debug)]
pub struct Random {
    key: u64,
    counter: u64,
}

impl Random {
    /// The stream of this key, at its beginning.
    pub fn new(seed: u64, epoch: u64, index: u64, usage: Use) -> Self {
        let words = [seed, epoch, index, usage.code()];
        let key = words.into_iter().fold(0, |key, word| mix((key ^ word).wrapping_add(GAMMA)));
        Self { key, counter: 0 }
    }

    /// 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        self.counter = self.counter.wrapping_add(1);
        mix(self.key.wrapping_add(self.counter.wrapping_mul(GAMMA)))
    }

    /// Uniform in `[0, 1)`, 53 bits.
    pub fn uniform(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// Uniform in `[low, high)`; `low` where the two are equal.
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.uniform()
    }

    /// True with this probability: never for 0, always for 1.
    pub fn chance(&mut self, probability: f64) -> bool {
        self.uniform() < probability
    }

    /// A whole number below `n`, each equally likely (Lemire 2019, with rejection); 0 for `n = 0`.
    pub fn below(&mut self, n: u64) -> u64 {
        if n == 0 {
            return 0;
        }
        let rejected = n.wrapping_neg() % n;
        loop {
            let product = u128::from(self.next_u64()) * u128::from(n);
            if product as u64 >= rejected {
                return (product >> 64) as u64;
            }
        }
    }

    /// Fisher-Yates: every order of `items` is equally likely.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last as u64 + 1) as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_names_one_stream() {
        let stream = |seed, epoch, index, usage| {
            let mut random = Random::new(seed, epoch, index, usage);
            [random.next_u64(), random.next_u64()]
        };
        let base = stream(1, 2, 3, Use::Augment(0));
        assert_eq!(base, stream(1, 2, 3, Use::Augment(0)));
        for other in [
            stream(2, 1, 3, Use::Augment(0)),
            stream(1, 3, 2, Use::Augment(0)),
            stream(1, 2, 4, Use::Augment(0)),
            stream(1, 2, 3, Use::Augment(1)),
            stream(1, 2, 3, Use::Dropout(0)),
            stream(1, 2, 3, Use::StochasticDepth(0)),
        ] {
            assert_ne!(base, other);
        }
    }

    #[test]
    fn the_stream_is_fixed_for_good() {
        // Runs are resumed by later builds: the numbers of a key may never change.
        let mut random = Random::new(0, 0, 0, Use::Shuffle);
        assert_eq!([random.next_u64(), random.next_u64()], [9783651374593755511, 6502519933620122522]);
    }

    #[test]
    fn draws_are_spread_evenly() {
        let mut counts = [0u32; 7];
        let mut sum = 0.0;
        for index in 0..7000 {
            let mut random = Random::new(11, 0, index, Use::Augment(0));
            counts[random.below(7) as usize] += 1;
            sum += random.uniform();
        }
        assert!(counts.iter().all(|&count| (850..1150).contains(&count)), "{counts:?}");
        assert!((sum / 7000.0 - 0.5).abs() < 0.02, "{sum}");
        assert_eq!(Random::new(1, 0, 0, Use::Split).below(0), 0);
        assert_eq!(Random::new(1, 0, 0, Use::Split).below(1), 0);
        assert!(!Random::new(1, 0, 0, Use::Split).chance(0.0));
        assert!(Random::new(1, 0, 0, Use::Split).chance(1.0));
    }

    #[test]
    fn a_shuffle_is_a_permutation() {
        let mut order: Vec<usize> = (0..100).collect();
        Random::new(5, 1, 0, Use::Shuffle).shuffle(&mut order);
        assert_ne!(order, (0..100).collect::<Vec<_>>());
        order.sort_unstable();
        assert_eq!(order, (0..100).collect::<Vec<_>>());
    }
}
