//! Streams of random numbers.

use crate::key::{draw, unit};

/// Stream of random numbers of one [`Key`](crate::Key): its draws 0, 1, 2, ...
///
/// ```
/// use residual_random::Key;
/// let numbers = |index| Key::of_numbers([7, 0, index]).stream().uniform();
/// assert_eq!(numbers(3), numbers(3));
/// assert_ne!(numbers(3), numbers(4));
/// ```
#[derive(Clone, Debug)]
pub struct Random {
    key: u64,
    next: u64,
}

impl Random {
    pub(crate) fn new(key: u64) -> Self {
        Self { key, next: 0 }
    }

    /// Random bits, 64 of them.
    pub fn next_u64(&mut self) -> u64 {
        let bits = draw(self.key, self.next);
        self.next = self.next.wrapping_add(1);
        bits
    }

    /// Uniform number in `[0, 1)`, 53 bits.
    pub fn uniform(&mut self) -> f64 {
        unit(self.next_u64())
    }

    /// Uniform number in `[low, high)`; `low` where the two are equal.
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.uniform()
    }

    /// True with this probability: never for 0, always for 1.
    pub fn chance(&mut self, probability: f64) -> bool {
        self.uniform() < probability
    }

    /// Random integer below `n`, each equally likely (Lemire 2019, with rejection); 0 for `n = 0`.
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

    /// Shuffle by Fisher and Yates: every order of `items` is equally likely.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last as u64 + 1) as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::Key;

    #[test]
    fn a_key_names_one_stream() {
        let stream = |numbers: [u64; 4]| {
            let mut random = Key::of_numbers(numbers).stream();
            [random.next_u64(), random.next_u64()]
        };
        let base = stream([1, 2, 3, 0]);
        assert_eq!(base, stream([1, 2, 3, 0]));
        for other in [[2, 1, 3, 0], [1, 3, 2, 0], [1, 2, 4, 0], [1, 2, 3, 1]] {
            assert_ne!(base, stream(other));
        }
    }

    #[test]
    fn the_stream_is_fixed_for_good() {
        // Runs are resumed by later builds: the numbers of a key may never change. This is the order of epoch 0.
        let mut random = Key::of_numbers([0, 0, 0, 2 << 32]).stream();
        assert_eq!([random.next_u64(), random.next_u64()], [9783651374593755511, 6502519933620122522]);
    }

    #[test]
    fn draws_are_spread_evenly() {
        let mut counts = [0u32; 7];
        let mut sum = 0.0;
        for index in 0..7000 {
            let mut random = Key::of_numbers([11, index]).stream();
            counts[random.below(7) as usize] += 1;
            sum += random.uniform();
        }
        assert!(counts.iter().all(|&count| (850..1150).contains(&count)), "{counts:?}");
        assert!((sum / 7000.0 - 0.5).abs() < 0.02, "{sum}");
        let mut random = Key::named("x").stream();
        assert_eq!((random.below(0), random.below(1)), (0, 0));
        assert!(!random.chance(0.0) && random.chance(1.0));
    }

    #[test]
    fn a_shuffle_is_a_permutation() {
        let mut order: Vec<usize> = (0..100).collect();
        Key::named("order").stream().shuffle(&mut order);
        assert_ne!(order, (0..100).collect::<Vec<_>>());
        order.sort_unstable();
        assert_eq!(order, (0..100).collect::<Vec<_>>());
    }
}
