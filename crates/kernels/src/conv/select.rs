//! Which algorithm computes a convolution: the only place that decides.

use std::fmt;

use super::ConvShape;
use crate::simd::BLOCK;
use crate::{Cpu, KernelError, Layout};

/// A way to compute a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Algorithm {
    /// A matrix product over pixels, for kernels of one tap.
    Pointwise,
    /// The convolution as defined, as a matrix product at the offsets of the taps. Computes anything.
    Direct,
    /// Winograd's minimal filtering F(2x2, 3x3): 16 multiplications for 4 outputs instead of 36.
    Winograd2,
    /// Winograd's minimal filtering F(4x4, 3x3): 36 multiplications for 16 outputs instead of 144.
    Winograd4,
    /// [`Algorithm::Winograd2`] with weights that are packed as they are and taken to the points in the cache, every
    /// time: 9 of them come from memory in place of 16.
    Expanded2,
    /// [`Algorithm::Winograd4`] in the same way: 9 weights in place of 36.
    Expanded4,
    /// Minimal filtering at stride 2, by phases of the input, 2x2 outputs a tile: on each axis the even
    /// pixels meet two taps, F(2, 2), and the odd ones one; 25 multiplications for 4 outputs instead of 36.
    Strided2,
    /// The same of 4x4 outputs, F(4, 2): 81 multiplications for 16 outputs instead of 144.
    Strided4,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Pointwise,
        Self::Direct,
        Self::Winograd2,
        Self::Winograd4,
        Self::Expanded2,
        Self::Expanded4,
        Self::Strided2,
        Self::Strided4,
    ];

    /// Weights that a 3x3 kernel has where they are packed for this algorithm, for a pair of channels.
    pub fn weights(self) -> usize {
        match self {
            Self::Pointwise | Self::Direct | Self::Expanded2 | Self::Expanded4 => 9,
            Self::Winograd2 => 16,
            Self::Winograd4 => 36,
            Self::Strided2 => 25,
            Self::Strided4 => 81,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pointwise => "pointwise",
            Self::Direct => "direct",
            Self::Winograd2 => "Winograd F(2x2,3x3)",
            Self::Winograd4 => "Winograd F(4x4,3x3)",
            Self::Expanded2 => "Winograd F(2x2,3x3) expanded",
            Self::Expanded4 => "Winograd F(4x4,3x3) expanded",
            Self::Strided2 => "Winograd F(2x2,3x3) at stride 2",
            Self::Strided4 => "Winograd F(4x4,3x3) at stride 2",
        })
    }
}

/// An algorithm, and the reason for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// What to use.
    pub algorithm: Algorithm,
    /// Why, for a person to read.
    pub why: String,
}

/// Multiplications in which an input or output element of a Winograd transform costs as much, stores
/// included. Solved from the prototype's rates for 64 channels on 56x56 (951 of 1380 GFLOP/s).
const TRANSFORM: usize = 15;

/// Multiplications in the time that a weight takes to come from beyond the level 2 cache. On a Zen 5 and
/// a Zen 3 (AVX-512 and AVX2, one and two threads), batch 1, the fastest are F(4x4) for 256 channels on
/// 14x14 and F(2x2) for 512 channels on 7x7: true of every value from 6 to 10.
const WEIGHT: usize = 8;

/// [`TRANSFORM`] and [`WEIGHT`] at stride 2. Fitted to one run of `cargo bench --bench conv '3x3/2 forward'`
/// with `RESIDUAL_ALGORITHMS`, AVX-512 and two threads at a peak of 535 GFLOP/s: of the 14 layers none is
/// slower than direct, and 13.4 of 14 parts of the best rates are had; so for transforms from 17 to 19.
const STRIDED_TRANSFORM: usize = 18;
const STRIDED_WEIGHT: usize = 22;

/// [`WEIGHT`] where a weight comes from memory: in a network with more weights than the level 3 cache holds. Solved on
/// two cores of a Zen 5 from layers at batch 1 whose weights are never in a cache (F(2x2), F(4x4), direct, and both
/// forms expanded, 256 channels on 14x14 and 512 on 7x7).
const WEIGHT_FROM_MEMORY: usize = 20;

/// Multiplications in which a weight is taken to a point by the expanded forms.
const EXPANSION: usize = 6;

/// How much longer products take with expanded weights, whose inputs pass by once for every panel: as
/// [`EXPANSION`], from layers with weights in the level 3 cache.
const EXPANDED_PRODUCT: f64 = 1.16;

/// Bytes of weights at the points of F(4x4) from which on the expanded forms are thought of: with fewer there is little
/// to gain, and 16x128->128@28 (2.4 MB) takes 2.77 ms in place of 2.25.
const EXPANDED_BYTES: usize = 4 << 20;

/// Weights packed anew by every call: written, and read again.
const WEIGHT_PACKED: usize = 48;

/// Where a convolution's packed weights are when it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weights {
    /// In a cache.
    AtHand,
    /// In memory, as in a network with more weights than the caches hold.
    InMemory,
    /// They are packed before every run, as in training.
    PackedAnew,
}

impl Weights {
    /// Of algorithms whose work is within this factor of the least, the one with the fewest weights is taken. In memory,
    /// 2% of resnet34's time at batch 16 buy a third of what it holds.
    fn near(self) -> f64 {
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

/// The algorithms for 3x3 at stride 1.
const EVERY_FORM: [Algorithm; 5] = [
    Algorithm::Winograd4,
    Algorithm::Winograd2,
    Algorithm::Expanded4,
    Algorithm::Expanded2,
    Algorithm::Direct,
];

/// What is computed of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// Its output.
    Forward,
    /// The gradient by its input.
    BackwardData,
    /// The gradient by its weights.
    BackwardWeights,
}

/// Chooses the algorithm for `pass` of the convolution `shape`. `maps` is how the maps lie that are read:
/// the input or, for the gradient by the input, the output's gradient.
///
/// The gradient by the input at stride 1 is a convolution of the output's gradient, and chosen for as
/// such; at larger strides it is direct. The gradient by the weights fetches none: it takes the lesser of
/// the direct work and that of F(4x4).
///
/// # Errors
/// Those of [`ConvShape::output`].
pub fn select(pass: Pass, shape: &ConvShape, maps: &Layout) -> Result<Choice, KernelError> {
    select_for(pass, shape, maps, Weights::AtHand)
}

/// [`select`] for weights that are not at hand: then an algorithm with fewer of them is worth more operations.
///
/// # Errors
/// Those of [`ConvShape::output`].
pub fn select_for(
    pass: Pass,
    shape: &ConvShape,
    maps: &Layout,
    kept: Weights,
) -> Result<Choice, KernelError> {
    shape.output()?;
    let direct = |why: &str| Ok(Choice { algorithm: Algorithm::Direct, why: why.into() });
    match (pass, shape.turned()) {
        (Pass::Forward, _) => forward(shape, maps, kept),
        (Pass::BackwardData, Some(turned)) => forward(&turned, maps, kept),
        (Pass::BackwardData, None) if shape.stride != [1, 1] => direct("the stride is not 1"),
        (Pass::BackwardData, None) => direct("the padding is wider than the kernel reaches"),
        (Pass::BackwardWeights, _) => Ok(by_weights(shape, maps)),
    }
}

/// [`select_for`] of a forward convolution on `cpu`, which may want it [plain](Cpu::plain_forward).
pub(crate) fn select_forward(
    cpu: &Cpu,
    shape: &ConvShape,
    maps: &Layout,
    kept: Weights,
) -> Result<Choice, KernelError> {
    let choice = select_for(Pass::Forward, shape, maps, kept)?;
    Ok(match choice.algorithm {
        Algorithm::Pointwise | Algorithm::Direct => choice,
        _ if cpu.plain_forward() => {
            Choice { algorithm: Algorithm::Direct, why: "the forward pass is to be plain".into() }
        }
        _ => choice,
    })
}

/// For the gradient by the weights.
fn by_weights(shape: &ConvShape, x: &Layout) -> Choice {
    if shape.taps() == 1 {
        return Choice { algorithm: Algorithm::Pointwise, why: "the kernel has one tap".into() };
    }
    if let Err(why) = winograd_applies(shape, x) {
        return Choice { algorithm: Algorithm::Direct, why };
    }
    let [four, direct] = [Algorithm::Winograd4, Algorithm::Direct].map(|a| work(shape, a, 0));
    let algorithm = if four < direct { Algorithm::Winograd4 } else { Algorithm::Direct };
    Choice {
        algorithm,
        why: format!("work in millions: F(4x4) {:.1}, direct {:.1}", four / 1e6, direct / 1e6),
    }
}

/// Chooses the algorithm for `shape` on an input that lies as `input` says.
///
/// Pointwise where the kernel has one tap. A 3x3 kernel at stride 1 or 2 takes, of direct and the
/// Winograd forms for its stride, the one with the least work, counted in multiplications: products, transforms, and
/// the fetching of weights, which decides for small maps with many channels. Everything else is direct.
///
/// # Errors
/// Those of [`ConvShape::output`].
fn forward(shape: &ConvShape, input: &Layout, weights: Weights) -> Result<Choice, KernelError> {
    shape.output()?;
    if shape.taps() == 1 {
        return Ok(Choice { algorithm: Algorithm::Pointwise, why: "the kernel has one tap".into() });
    }
    let strided = shape.stride == [2, 2];
    let applies = if strided { strided_applies(shape, input) } else { winograd_applies(shape, input) };
    if let Err(why) = applies {
        return Ok(Choice { algorithm: Algorithm::Direct, why });
    }
    let few = 36 * shape.in_channels * shape.out_channels * size_of::<f32>() < EXPANDED_BYTES;
    let candidates: &[_] = match (strided, weights) {
        (true, _) => &[Algorithm::Strided4, Algorithm::Strided2, Algorithm::Direct],
        (false, weights) if few || weights == Weights::AtHand => {
            &[Algorithm::Winograd4, Algorithm::Winograd2, Algorithm::Direct]
        }
        (false, _) => &EVERY_FORM,
    };
    let fetch = if strided { weights.fetch().max(STRIDED_WEIGHT) } else { weights.fetch() };
    let work = |algorithm| work(shape, algorithm, fetch);
    let least = candidates.iter().map(|&algorithm| work(algorithm)).fold(f64::INFINITY, f64::min);
    let within = least * weights.near();
    let near = candidates.iter().copied().filter(|&algorithm| work(algorithm) <= within);
    let algorithm = near.min_by_key(|algorithm| algorithm.weights()).unwrap_or(Algorithm::Direct);
    let list: Vec<_> = candidates.iter().map(|&a| format!("{a} {:.1}", work(a) / 1e6)).collect();
    Ok(Choice { algorithm, why: format!("work in millions: {}", list.join(", ")) })
}

/// Whether the Winograd forms can compute `shape` at all, or why not.
pub(super) fn winograd_applies(shape: &ConvShape, input: &Layout) -> Result<(), String> {
    applies(shape, input, (1, "the stride is not 1"))
}

/// Whether the forms for stride 2 can compute `shape` at all, or why not.
pub(super) fn strided_applies(shape: &ConvShape, input: &Layout) -> Result<(), String> {
    applies(shape, input, (2, "the stride is not 2"))
}

fn applies(shape: &ConvShape, input: &Layout, (stride, other): (usize, &'static str)) -> Result<(), String> {
    let reasons = [
        (shape.kernel != [3, 3], "the kernel is not 3x3"),
        (shape.stride != [stride; 2], other),
        (shape.dilation != [1, 1], "the kernel is dilated"),
        (shape.groups != 1, "the convolution is grouped"),
        (input.block() != BLOCK, "the input is not blocked by channels"),
    ];
    reasons.iter().find(|(fails, _)| *fails).map_or(Ok(()), |(_, why)| Err((*why).to_owned()))
}

/// What a 3x3 convolution costs, in multiplications, of which a weight's fetching takes `weight`.
fn work(shape: &ConvShape, algorithm: Algorithm, weight: usize) -> f64 {
    let (ins, outs) = (shape.in_channels.next_multiple_of(BLOCK), shape.out_channels.next_multiple_of(BLOCK));
    let [h, w] = [0, 1].map(|axis| (shape.size[axis] + 2 * shape.padding[axis] - 3) / shape.stride[axis] + 1);
    let with = |tile: usize, points: usize, transform: usize| {
        let tiles = shape.batch * h.div_ceil(tile) * w.div_ceil(tile);
        let products = (tiles * points) as f64 * (ins * outs) as f64;
        let transforms = (tiles * points) as f64 * ((ins + outs) * transform) as f64;
        products + transforms + (points * weight) as f64 * (ins * outs) as f64
    };
    let expanded = |tile: usize, points: usize| {
        let tiles = shape.batch * h.div_ceil(tile) * w.div_ceil(tile);
        let products = (tiles * points) as f64 * EXPANDED_PRODUCT;
        let transforms = (tiles * points) as f64 * ((ins + outs) * TRANSFORM) as f64;
        (products + (points * EXPANSION + 9 * weight) as f64) * (ins * outs) as f64 + transforms
    };
    match algorithm {
        Algorithm::Winograd4 => with(4, 36, TRANSFORM),
        Algorithm::Winograd2 => with(2, 16, TRANSFORM),
        Algorithm::Expanded4 => expanded(4, 36),
        Algorithm::Expanded2 => expanded(2, 16),
        Algorithm::Strided4 => with(4, 81, STRIDED_TRANSFORM),
        Algorithm::Strided2 => with(2, 25, STRIDED_TRANSFORM),
        Algorithm::Direct | Algorithm::Pointwise => with(1, 9, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choice(shape: ConvShape) -> Choice {
        let input = Layout::blocked(shape.batch, shape.in_channels, shape.size[0], shape.size[1]).unwrap();
        select(Pass::Forward, &shape, &input).unwrap()
    }

    #[test]
    fn the_layers_of_residual_networks() {
        let of = |batch, channels, size, kernel, stride| {
            choice(ConvShape::square(batch, channels, size, kernel, stride)).algorithm
        };
        for (channels, size) in [(64, 56), (128, 28), (256, 14), (512, 7)] {
            assert_eq!(of(16, (channels, channels), size, 3, 1), Algorithm::Winograd4, "{channels}");
        }
        assert_eq!(of(1, (64, 64), 56, 3, 1), Algorithm::Winograd4);
        assert_eq!(of(1, (256, 256), 14, 3, 1), Algorithm::Winograd4);
        assert_eq!(
            of(1, (512, 512), 7, 3, 1),
            Algorithm::Winograd2,
            "fetching the weights of F(4x4) costs more"
        );
        assert_eq!(of(128, (32, 32), 32, 3, 1), Algorithm::Winograd4);
        assert_eq!(of(128, (256, 256), 2, 3, 1), Algorithm::Winograd2);
        assert_eq!(of(16, (64, 128), 56, 3, 2), Algorithm::Strided4);
        assert_eq!(of(16, (128, 256), 28, 3, 2), Algorithm::Strided2);
        assert_eq!(of(16, (256, 512), 14, 3, 2), Algorithm::Direct, "7x7 outputs waste half of four tiles");
        assert_eq!(of(16, (64, 128), 56, 1, 2), Algorithm::Pointwise);
    }

    #[test]
    fn weights_from_memory_cost_more() {
        let of = |batch, channels, size| {
            let shape = ConvShape::square(batch, (channels, channels), size, 3, 1);
            let input = Layout::blocked(batch, channels, size, size).unwrap();
            select_for(Pass::Forward, &shape, &input, Weights::InMemory).unwrap().algorithm
        };
        assert_eq!(of(1, 64, 56), Algorithm::Winograd4);
        assert_eq!(of(1, 256, 14), Algorithm::Expanded4);
        assert_eq!(of(1, 512, 7), Algorithm::Expanded4);
        assert_eq!(of(16, 256, 14), Algorithm::Expanded4);
        assert_eq!(of(16, 128, 28), Algorithm::Winograd4);
        assert_eq!(of(16, 512, 7), Algorithm::Expanded4);
    }

    #[test]
    fn a_plain_forward_has_no_transforms() {
        let shape = ConvShape::square(16, (64, 64), 56, 3, 1);
        let input = Layout::blocked(16, 64, 56, 56).unwrap();
        let of = |cpu: &Cpu| select_forward(cpu, &shape, &input, Weights::PackedAnew).unwrap().algorithm;
        let cpu = Cpu::new(1).unwrap();
        assert_eq!(of(&cpu), Algorithm::Winograd4);
        let plain = cpu.with_plain_forward();
        assert_eq!(of(&plain), Algorithm::Direct);
        assert_eq!(of(&plain.alone().unwrap()), Algorithm::Direct);
        let pixel = ConvShape { kernel: [1, 1], padding: [0, 0], ..shape };
        let choice = select_forward(&plain, &pixel, &input, Weights::AtHand).unwrap();
        assert_eq!(choice.algorithm, Algorithm::Pointwise);
    }

    #[test]
    fn what_winograd_cannot_do_says_why() {
        let good = ConvShape::square(16, (64, 64), 56, 3, 1);
        let others = [
            (ConvShape { stride: [1, 2], ..good }, "stride"),
            (ConvShape { dilation: [2, 1], ..good }, "dilated"),
            (ConvShape { groups: 2, ..good }, "grouped"),
            (ConvShape { kernel: [3, 5], ..good }, "3x3"),
        ];
        for (shape, word) in others {
            let choice = choice(shape);
            assert_eq!(choice.algorithm, Algorithm::Direct);
            assert!(choice.why.contains(word), "{}", choice.why);
        }
        let planar = Layout::planar(16, 64, 56, 56).unwrap();
        assert!(select(Pass::Forward, &good, &planar).unwrap().why.contains("blocked"));
    }
}
