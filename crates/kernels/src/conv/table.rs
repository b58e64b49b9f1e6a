//! The table of methods, and [`Algorithm`], by which one of them is named.

use std::fmt;

use super::ConvShape;
use super::direct::DIRECT;
use super::method::Method;
use super::pointwise::POINTWISE;
use super::winograd::{EXPANDED2, EXPANDED4, STRIDED2, STRIDED4, WINOGRAD2, WINOGRAD4};
use crate::Layout;

/// The methods: of equals, the first is chosen.
pub(super) static METHODS: [Method; 8] =
    [POINTWISE, WINOGRAD4, WINOGRAD2, EXPANDED4, EXPANDED2, STRIDED4, STRIDED2, DIRECT];

/// A method to compute a convolution, one of [`Algorithm::all`].
///
/// | key | method |
/// | --- | --- |
/// | `pointwise` | a matrix product over pixels, for kernels of one tap |
/// | `winograd4`, `winograd2` | Winograd's minimal filtering F(4x4, 3x3) and F(2x2, 3x3), 36 and 16 multiplications
/// for 16 and 4 outputs instead of 144 and 36, with weights packed at the points |
/// | `expanded4`, `expanded2` | the same with weights that are packed as they are and taken to the points in the
/// cache, every time: 9 of them come from memory in place of 36 and 16 |
/// | `strided4`, `strided2` | minimal filtering at stride 2, by phases of the input: on each axis the even pixels
/// meet two taps and the odd ones one; 81 and 25 multiplications instead of 144 and 36 |
/// | `direct` | the convolution as defined, as a matrix product at the offsets of the taps: computes anything |
#[derive(Clone, Copy)]
pub struct Algorithm(&'static Method);

impl Algorithm {
    /// Algorithms in the order of the table.
    pub fn all() -> impl Iterator<Item = Self> {
        METHODS.iter().map(Self)
    }

    /// The algorithm with the key `key`.
    pub fn named(key: &str) -> Option<Self> {
        Self::all().find(|algorithm| algorithm.key() == key)
    }

    /// The algorithms that compute the convolution `shape` forward on an input of layout `input`. Where one of
    /// them leaves nothing to choose (a kernel of one tap), it alone.
    pub fn candidates(shape: &ConvShape, input: &Layout) -> Vec<Self> {
        let applying: Vec<_> =
            Self::all().filter(|algorithm| (algorithm.0.applies)(shape, input).is_ok()).collect();
        match applying.iter().find(|algorithm| algorithm.0.settles.is_some()) {
            Some(&only) => vec![only],
            None => applying,
        }
    }

    /// Key in files of measured choices: a word.
    pub fn key(self) -> &'static str {
        self.0.key
    }

    /// Weights that a 3x3 kernel has where they are packed for this algorithm, for a pair of channels.
    pub fn weights(self) -> usize {
        self.0.weights
    }

    /// Bound of the relative error of its sums in float32, in the Euclidean norm: what its tests hold it to.
    pub fn error_bound(self) -> f64 {
        self.0.error
    }

    /// Preference for an input with a border as wide as the padding even where whoever writes that input would rather
    /// write none ([`Algorithm::long_strips`]).
    pub fn wants_border(self) -> bool {
        self.0.wants_border
    }

    /// Preference for an output without a border, which it writes in strips longer than a row, which is faster.
    pub fn long_strips(self) -> bool {
        self.0.long_strips
    }

    pub(super) fn method(self) -> &'static Method {
        self.0
    }
}

impl From<&'static Method> for Algorithm {
    fn from(method: &'static Method) -> Self {
        Self(method)
    }
}

impl PartialEq for Algorithm {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Algorithm {}

impl fmt::Debug for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.key)
    }
}

/// The name for people, such as `Winograd F(4x4,3x3)`.
impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_names_are_each_of_one_method() {
        for algorithm in Algorithm::all() {
            assert_eq!(Algorithm::named(algorithm.key()), Some(algorithm));
            assert_eq!(
                Algorithm::all().filter(|other| other.to_string() == algorithm.to_string()).count(),
                1
            );
        }
        assert_eq!(Algorithm::named("winograd3"), None);
    }

    #[test]
    fn candidates_leave_something_to_choose() {
        let of = |kernel, stride| {
            let shape = ConvShape::square(1, [16, 16], 8, kernel, stride);
            let input = Layout::blocked(1, 16, 8, 8).unwrap();
            Algorithm::candidates(&shape, &input).iter().map(|a| a.key()).collect::<Vec<_>>()
        };
        assert_eq!(of(1, 1), ["pointwise"]);
        assert_eq!(of(3, 1), ["winograd4", "winograd2", "expanded4", "expanded2", "direct"]);
        assert_eq!(of(3, 2), ["strided4", "strided2", "direct"]);
        assert_eq!(of(5, 1), ["direct"]);
    }
}
