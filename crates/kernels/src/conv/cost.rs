//! The work of convolutions, counted in multiplications, by which methods are compared.

use super::ConvShape;
use crate::simd::BLOCK;

/// Multiplications in the time that a weight takes to come from beyond the level 2 cache. On a Zen 5 and
/// a Zen 3 (AVX-512 and AVX2, one and two threads), batch 1, the fastest are F(4x4) for 256 channels on
/// 14x14 and F(2x2) for 512 channels on 7x7: true of every value from 6 to 10.
const WEIGHT: usize = 8;

/// [`WEIGHT`] where a weight comes from memory: in a network with more weights than the level 3 cache holds. Solved on
/// two cores of a Zen 5 from layers at batch 1 whose weights are never in a cache (F(2x2), F(4x4), direct, and both
/// forms expanded, 256 channels on 14x14 and 512 on 7x7).
const WEIGHT_FROM_MEMORY: usize = 20;

/// Weights packed anew by every call: written, and read again. Not measured on its own; with it and the factor 1.05 of
/// [`Weights::PackedAnew`] a training step takes 242 ms for 250 (`resnet18`, batch 16) and 445 for 466 (`resnet50`,
/// batch 8): `docs/decisions/014-weights-expanded-in-the-cache.md`.
const WEIGHT_PACKED: usize = 48;

/// The least that a weight costs at stride 2, fitted with `winograd::at_points::STRIDED_TRANSFORM` to one run.
const STRIDED_WEIGHT: usize = 22;

/// Place of a convolution's packed weights when it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weights {
    /// A cache.
    AtHand,
    /// Memory, as in a network with more weights than the caches hold.
    InMemory,
    /// Packed before every run, as in training.
    PackedAnew,
}

impl Weights {
    /// Factor of the least work within which the method with the fewest weights is taken. In memory, 2% of resnet34's
    /// time at batch 16 buy a third of what it holds.
    pub(super) fn near(self) -> f64 {
        match self {
            Self::AtHand => 1.0,
            Self::InMemory => 1.12,
            Self::PackedAnew => 1.05,
        }
    }

    /// Multiplications in the time that one takes to come.
    fn fetch(self) -> usize {
        match self {
            Self::AtHand => WEIGHT,
            Self::InMemory => WEIGHT_FROM_MEMORY,
            Self::PackedAnew => WEIGHT_PACKED,
        }
    }
}

/// A convolution whose work is to be counted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    pub(super) shape: ConvShape,
    /// Size of the output.
    output: [usize; 2],
    pub(super) kept: Weights,
    /// Multiplications in the time that a packed weight takes to come.
    pub(super) weight: usize,
}

impl Load {
    /// The convolution `shape`, whose output has the size `output`, forward.
    pub(super) fn forward(shape: &ConvShape, output: [usize; 2], kept: Weights) -> Self {
        let fetch = kept.fetch();
        let weight = if shape.stride == [2, 2] { fetch.max(STRIDED_WEIGHT) } else { fetch };
        Self { shape: *shape, output, kept, weight }
    }

    /// Weight gradient of the convolution, which fetches no weights.
    pub(super) fn by_weights(shape: &ConvShape, output: [usize; 2]) -> Self {
        Self { shape: *shape, output, kept: Weights::AtHand, weight: 0 }
    }

    /// Convolution cut into tiles of `tile` x `tile` outputs, each of which takes `points` products for every pair of
    /// channels.
    pub(super) fn tiled(&self, tile: usize, points: usize) -> Tiled {
        let [ins, outs] =
            [self.shape.in_channels, self.shape.out_channels].map(|count| count.next_multiple_of(BLOCK));
        let tiles = self.shape.batch * self.output[0].div_ceil(tile) * self.output[1].div_ceil(tile);
        Tiled { products: (tiles * points) as f64, points, ins, outs, weight: self.weight }
    }
}

/// A convolution cut into tiles; its channels are counted by whole blocks.
pub(super) struct Tiled {
    /// Products of a pair of channels.
    products: f64,
    points: usize,
    ins: usize,
    outs: usize,
    weight: usize,
}

impl Tiled {
    /// The work where every point has a weight of its own in memory, and every element of the transformed maps takes
    /// `transform` multiplications.
    pub(super) fn at_points(&self, transform: usize) -> f64 {
        let pairs = self.pairs();
        self.products * pairs + self.transforms(transform) + (self.points * self.weight) as f64 * pairs
    }

    /// The work where 9 weights come from memory, are taken to each point in `expansion` multiplications, and products
    /// take `slower` times as long.
    pub(super) fn expanded(&self, transform: usize, expansion: usize, slower: f64) -> f64 {
        let weights = (self.points * expansion + 9 * self.weight) as f64;
        (self.products * slower + weights) * self.pairs() + self.transforms(transform)
    }

    /// Pairs of channels.
    fn pairs(&self) -> f64 {
        (self.ins * self.outs) as f64
    }

    fn transforms(&self, each: usize) -> f64 {
        self.products * ((self.ins + self.outs) * each) as f64
    }
}
