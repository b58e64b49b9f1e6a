//! ReLUs next to zero: which side of it the reference is on.
//!
//! The derivative of a ReLU jumps at zero. Where a value before one is as near to zero as rounding errors are large,
//! an implementation and its reference may be on different sides, and all gradients before it differ by what goes
//! through that one value: for the last maps of a small image by some percent. Whoever compares gradients has to
//! compare them away from such kinks. So each value next to zero is moved to one side and to the other, by the bias
//! of its channel, and far enough that rounding decides nothing. What gradients change by then is the contribution of
//! that value, and nothing else; the side of the reference is the one whose contribution the reference has.

use crate::golden::{Golden, Reference};
use crate::report::{Computed, Results};
use crate::rounding::Moved;

/// Value next to zero before a ReLU.
#[derive(Clone, Debug, PartialEq)]
pub struct Kink {
    /// Canonical path of the bias that moves it: that of the norm before the ReLU.
    pub bias: String,
    /// Channel of the value.
    pub channel: usize,
    /// The value.
    pub value: f32,
    /// Root mean square of the values of its map.
    pub size: f32,
    /// Number of values of the channel in the batch: the gradient of one among many is a small part of the channel's.
    pub places: usize,
}

impl Kink {
    /// Distances from zero, as shares of [`size`](Self::size), within which values are moved away, one after the other.
    /// PyTorch's own float32 is off by 2e-5 in the last maps of timm_resnet26, which are 3x3 of one image, and by less
    /// in the other files. A smaller one moves fewer of the other values of a channel across zero.
    pub const SHARES: [f32; 2] = [1e-5, 1e-4];

    /// Move of the value to a share above zero, or as far below it.
    pub(crate) fn moved(&self, above: bool, share: f32) -> Moved {
        let side = if above { 1.0 } else { -1.0 };
        let by = side * share * self.size - self.value;
        Moved { path: self.bias.clone(), channel: self.channel, by }
    }

    /// The values within a share whose side is uncertain and matters most: near to zero, and few in their channel.
    pub(crate) fn most_decisive(kinks: &[Self], share: f32) -> Vec<Self> {
        let is_near = |kink: &&Self| kink.value.abs() <= share * kink.size;
        let mut kinks: Vec<Self> = kinks.iter().filter(is_near).cloned().collect();
        let rank = |kink: &Self| kink.value.abs() / kink.size * kink.places as f32;
        kinks.sort_by(|a, b| rank(a).total_cmp(&rank(b)));
        kinks.truncate(MOST);
        kinks
    }
}

/// The most values that are moved, each of which is another computation. In the last two stages of timm_resnet26 there
/// are a dozen within 1e-4.
const MOST: usize = 16;

/// Numbers by which gradients are compared, as far as they are sums over contributions: the first elements and the sum
/// of every tensor that the file has, on the scale on which [`compare`](crate::compare) measures them. Infinite for a
/// tensor that is not there.
pub(crate) fn compared(golden: &Golden, found: &Results) -> Vec<f64> {
    let training = found.training.as_ref();
    let of = |name: &str| training.and_then(|training| training.grads.get(name));
    let grads = golden.grads.iter().flat_map(|(name, reference)| numbers(reference, of(name)));
    let input = numbers(&golden.grad_input, training.map(|training| &training.grad_input));
    grads.chain(input).collect()
}

/// Reference's values of the same numbers.
pub(crate) fn wanted(golden: &Golden) -> Vec<f64> {
    let tensors = golden.grads.values().chain([&golden.grad_input]);
    tensors.flat_map(|reference| scaled(reference, reference.head.iter().copied(), reference.sum)).collect()
}

fn numbers(reference: &Reference, found: Option<&Computed>) -> Vec<f64> {
    let Some(found) = found else { return vec![f64::INFINITY; reference.head.len() + 1] };
    let values = found.values.iter().map(|&value| f64::from(value));
    scaled(reference, values.clone().take(reference.head.len()), values.sum())
}

fn scaled(reference: &Reference, head: impl Iterator<Item = f64>, sum: f64) -> Vec<f64> {
    let count = (reference.shape.iter().product::<usize>().max(1) as f64).sqrt();
    let norm = reference.l2.max(f64::MIN_POSITIVE);
    head.map(|value| value * count / norm).chain([sum / (norm * count)]).collect()
}

/// The sides on which the reference is: of all sets of contributions, added to `below`, one that comes as near to
/// `wanted` as changing a side at a time does.
pub(crate) fn sides(wanted: &[f64], below: &[f64], contributions: &[Vec<f64>]) -> Vec<bool> {
    let mut left: Vec<f64> = wanted.iter().zip(below).map(|(wanted, below)| wanted - below).collect();
    let mut above = vec![false; contributions.len()];
    let square = |values: &[f64]| values.iter().map(|value| value * value).sum::<f64>();
    let changed = |left: &[f64], at: usize, above: &[bool]| -> Vec<f64> {
        let sign = if above[at] { -1.0 } else { 1.0 };
        left.iter().zip(&contributions[at]).map(|(left, part)| left - sign * part).collect()
    };
    loop {
        let candidates = (0..contributions.len()).map(|at| (at, changed(&left, at, &above)));
        let best = candidates.min_by(|(_, a), (_, b)| square(a).total_cmp(&square(b)));
        match best {
            Some((at, rest)) if square(&rest) < square(&left) => {
                above[at] = !above[at];
                left = rest;
            }
            _ => return above,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sides_are_found_by_their_contributions() {
        let contributions =
            [vec![1.0, 0.0, 0.5], vec![0.0, 2.0, 0.0], vec![0.3, 0.1, -1.0], vec![-0.2, 0.9, 0.4]];
        let below = [5.0, 6.0, 7.0];
        for set in 0..16_u32 {
            let expected: Vec<bool> = (0..4).map(|at| set >> at & 1 == 1).collect();
            let mut wanted = below.to_vec();
            for (part, _) in contributions.iter().zip(&expected).filter(|(_, above)| **above) {
                wanted.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
            }
            // Rounding errors.
            wanted.iter_mut().for_each(|value| *value += 1e-6);
            assert_eq!(sides(&wanted, &below, &contributions), expected);
        }
        assert!(sides(&[1.0], &[f64::NAN], &[vec![1.0]]).iter().all(|above| !above));
        assert!(sides(&[1.0], &[0.0], &[]).is_empty());
    }

    #[test]
    fn values_are_moved_to_either_side() {
        let kink = |value: f32, places| Kink { bias: "b".to_owned(), channel: 3, value, size: 2.0, places };
        for value in [1e-4, -1e-4] {
            let at = |above| value + kink(value, 1).moved(above, 1e-4).by;
            assert!((at(true) - 2e-4).abs() < 1e-9 && (at(false) + 2e-4).abs() < 1e-9);
        }
        let many = (0..40).map(|at| kink(at as f32 * 1e-6, 9)).chain([kink(1e-6, 10_000), kink(1e-6, 1)]);
        let many: Vec<Kink> = many.collect();
        let found = Kink::most_decisive(&many, 1e-4);
        assert_eq!(found.len(), MOST);
        assert!(found.iter().any(|kink| kink.places == 1) && found.iter().all(|kink| kink.places < 10_000));
        assert_eq!(Kink::most_decisive(&many[..40], 1e-6).len(), 3);
    }
}
