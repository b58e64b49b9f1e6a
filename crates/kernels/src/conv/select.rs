//! Which method computes a convolution: a fold over the table.

use super::ConvShape;
use super::cost::{Load, Weights};
use super::method::Method;
use super::table::{Algorithm, METHODS};
use crate::{Cpu, Error, Layout};

/// An algorithm, and the reason for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Algorithm to use.
    pub algorithm: Algorithm,
    /// Reason, for a person to read.
    pub why: String,
}

/// A pass of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// Output of the convolution.
    Forward,
    /// The gradient with respect to its input.
    BackwardData,
    /// The gradient with respect to its weights.
    BackwardWeights,
}

/// Chooses the algorithm for `pass` of the convolution `shape`. `maps` is how the maps lie that are read:
/// the input or, for the gradient with respect to the input, the output's gradient.
///
/// Of the methods that apply, the one with the least work, counted in multiplications: products, transforms, and
/// the fetching of weights, which decides for small maps with many channels. The gradient with respect to the input
/// at stride 1 is a convolution of the output's gradient, and chosen for as such. The gradient with respect to the
/// weights fetches none.
///
/// # Errors
/// Those of [`ConvShape::output`].
pub fn select(pass: Pass, shape: &ConvShape, maps: &Layout) -> Result<Choice, Error> {
    select_for(pass, shape, maps, Weights::AtHand)
}

/// [`select`] for weights that are not at hand: then an algorithm with fewer of them is worth more operations.
///
/// # Errors
/// Those of [`ConvShape::output`].
pub fn select_for(pass: Pass, shape: &ConvShape, maps: &Layout, kept: Weights) -> Result<Choice, Error> {
    let output = shape.output()?;
    match (pass, shape.turned()) {
        (Pass::Forward, _) => choose(METHODS.iter(), &Load::forward(shape, output, kept), maps),
        (Pass::BackwardData, Some(turned)) => {
            choose(METHODS.iter(), &Load::forward(&turned, turned.output()?, kept), maps)
        }
        (Pass::BackwardData, None) => {
            let methods = METHODS.iter().filter(|method| method.by_input.is_some());
            let choice = choose(methods, &Load::forward(shape, output, kept), maps)?;
            let strided = shape.stride != [1, 1];
            let why =
                if strided { "the stride is not 1" } else { "the padding is wider than the kernel reaches" };
            Ok(Choice { why: why.into(), ..choice })
        }
        (Pass::BackwardWeights, _) => {
            let methods = METHODS.iter().filter(|method| method.by_weights.is_some());
            choose(methods, &Load::by_weights(shape, output), maps)
        }
    }
}

/// [`select_for`] of a forward convolution on `cpu`, which may want it [plain](Cpu::plain_forward).
pub(crate) fn select_forward(
    cpu: &Cpu,
    shape: &ConvShape,
    maps: &Layout,
    kept: Weights,
) -> Result<Choice, Error> {
    let choice = select_for(Pass::Forward, shape, maps, kept)?;
    if !cpu.plain_forward() || choice.algorithm.method().plain {
        return Ok(choice);
    }
    let plain = METHODS.iter().filter(|method| method.plain);
    let choice = choose(plain, &Load::forward(shape, shape.output()?, kept), maps)?;
    Ok(Choice { why: "the forward pass is to be plain".into(), ..choice })
}

/// Work of the forward convolution `shape` on maps of layout `maps`, in multiplications: the least of all methods, and that
/// of the direct one.
///
/// # Errors
/// Those of [`ConvShape::output`].
pub(crate) fn forward_work(shape: &ConvShape, maps: &Layout) -> Result<[f64; 2], Error> {
    let load = Load::forward(shape, shape.output()?, Weights::AtHand);
    let applying = METHODS.iter().filter(|method| (method.applies)(shape, maps).is_ok());
    let least = applying.filter_map(|method| (method.work)(&load)).fold(f64::INFINITY, f64::min);
    Ok([least, load.tiled(1, shape.taps()).at_points(0)])
}

/// The method for `load` on maps of layout `maps`.
///
/// The first that applies and leaves nothing to choose; else, of those whose work is within
/// [`Weights::near`] of the least, the first of the fewest weights.
fn choose(
    methods: impl Iterator<Item = &'static Method>,
    load: &Load,
    maps: &Layout,
) -> Result<Choice, Error> {
    let (mut candidates, mut refusals) = (Vec::new(), Vec::new());
    for method in methods {
        match ((method.applies)(&load.shape, maps), method.settles) {
            (Ok(()), Some(why)) => return Ok(Choice { algorithm: method.into(), why: why.into() }),
            (Ok(()), None) => candidates.extend((method.work)(load).map(|work| (method, work))),
            (Err(why), _) => refusals.push(format!("{}: {why}", method.name)),
        }
    }
    let least = candidates.iter().map(|&(_, work)| work).fold(f64::INFINITY, f64::min);
    let within = least * load.kept.near();
    let near = candidates.iter().filter(|&&(_, work)| work <= within).map(|&(method, _)| method);
    let Some(method) = near.min_by_key(|method| method.weights) else {
        let reason = format!("no method computes {:?}: {}", load.shape, refusals.join(", "));
        return Err(Error::Shape { what: "convolution".into(), reason });
    };
    let list = candidates.iter().map(|(method, work)| format!("{} {:.1}", method.name, work / 1e6));
    let why = match candidates.len() {
        1 => format!("nothing else computes it ({})", refusals.join(", ")),
        _ => format!("work in millions: {}", list.collect::<Vec<_>>().join(", ")),
    };
    Ok(Choice { algorithm: method.into(), why })
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
            choice(ConvShape::square(batch, channels, size, kernel, stride)).algorithm.key()
        };
        for (channels, size) in [(64, 56), (128, 28), (256, 14), (512, 7)] {
            assert_eq!(of(16, [channels, channels], size, 3, 1), "winograd4", "{channels}");
        }
        assert_eq!(of(1, [64, 64], 56, 3, 1), "winograd4");
        assert_eq!(of(1, [256, 256], 14, 3, 1), "winograd4");
        assert_eq!(of(1, [512, 512], 7, 3, 1), "winograd2", "fetching the weights of F(4x4) costs more");
        assert_eq!(of(128, [32, 32], 32, 3, 1), "winograd4");
        assert_eq!(of(128, [256, 256], 2, 3, 1), "winograd2");
        assert_eq!(of(16, [64, 128], 56, 3, 2), "strided4");
        assert_eq!(of(16, [128, 256], 28, 3, 2), "strided2");
        assert_eq!(of(16, [256, 512], 14, 3, 2), "direct", "7x7 outputs waste half of four tiles");
        assert_eq!(of(16, [64, 128], 56, 1, 2), "pointwise");
    }

    #[test]
    fn weights_from_memory_cost_more() {
        let of = |batch, channels, size| {
            let shape = ConvShape::square(batch, [channels, channels], size, 3, 1);
            let input = Layout::blocked(batch, channels, size, size).unwrap();
            select_for(Pass::Forward, &shape, &input, Weights::InMemory).unwrap().algorithm.key()
        };
        assert_eq!(of(1, 64, 56), "winograd4");
        assert_eq!(of(1, 256, 14), "expanded4");
        assert_eq!(of(1, 512, 7), "expanded4");
        assert_eq!(of(16, 256, 14), "expanded4");
        assert_eq!(of(16, 128, 28), "winograd4");
        assert_eq!(of(16, 512, 7), "expanded4");
    }

    #[test]
    fn of_equal_work_the_fewest_weights() {
        // F(4x4) has 4 tiles of 36 products, 4 (16 48 + 15 (16 + 48)) = 9 16 48, which is the direct work of 36 pixels.
        let by_weights = |channels| {
            let shape = ConvShape::square(1, channels, 6, 3, 1);
            let maps = Layout::blocked(1, channels[0], 6, 6).unwrap();
            select(Pass::BackwardWeights, &shape, &maps).unwrap().algorithm.key()
        };
        assert_eq!(
            [by_weights([16, 48]), by_weights([48, 16]), by_weights([48, 48])],
            ["direct", "direct", "winograd4"]
        );
    }

    #[test]
    fn gradients_by_the_input_that_are_no_convolutions_are_direct() {
        let shape = ConvShape::square(1, [16, 32], 8, 3, 1);
        let of = |shape: ConvShape| {
            let [h, w] = shape.output().unwrap();
            let dy = Layout::blocked(1, 32, h, w).unwrap();
            let choice = select(Pass::BackwardData, &shape, &dy).unwrap();
            (choice.algorithm.key(), choice.why)
        };
        assert_ne!(of(shape).0, "direct");
        assert_eq!(of(ConvShape { stride: [2, 2], ..shape }), ("direct", "the stride is not 1".into()));
        let wide = ConvShape { padding: [3, 3], ..shape };
        assert_eq!(of(wide), ("direct", "the padding is wider than the kernel reaches".into()));
    }

    #[test]
    fn a_plain_forward_has_no_transforms() {
        let shape = ConvShape::square(16, [64, 64], 56, 3, 1);
        let input = Layout::blocked(16, 64, 56, 56).unwrap();
        let of =
            |cpu: &Cpu| select_forward(cpu, &shape, &input, Weights::PackedAnew).unwrap().algorithm.key();
        let cpu = Cpu::new(1).unwrap();
        assert_eq!(of(&cpu), "winograd4");
        let plain = cpu.with_plain_forward();
        assert_eq!(of(&plain), "direct");
        assert_eq!(of(&plain.alone().unwrap()), "direct");
        let pixel = ConvShape { kernel: [1, 1], padding: [0, 0], ..shape };
        let choice = select_forward(&plain, &pixel, &input, Weights::AtHand).unwrap();
        assert_eq!(choice.algorithm.key(), "pointwise");
    }

    #[test]
    fn what_winograd_cannot_do_says_why() {
        let good = ConvShape::square(16, [64, 64], 56, 3, 1);
        let others = [
            (ConvShape { stride: [1, 2], ..good }, "stride"),
            (ConvShape { dilation: [2, 1], ..good }, "dilated"),
            (ConvShape { groups: 2, ..good }, "grouped"),
            (ConvShape { kernel: [3, 5], ..good }, "3x3"),
        ];
        for (shape, word) in others {
            let choice = choice(shape);
            assert_eq!(choice.algorithm.key(), "direct");
            assert!(choice.why.contains(word), "{}", choice.why);
        }
        let planar = Layout::planar(16, 64, 56, 56).unwrap();
        assert!(select(Pass::Forward, &good, &planar).unwrap().why.contains("blocked"));
    }
}
