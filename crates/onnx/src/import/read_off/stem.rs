//! The stem: what stands between the input and the first block.

use residual_arch::{AntiAlias, LayerPath, MaxPool, NormKind, StemConv, StemPart, StemSpec};

use super::block::Offset;
use super::norm::{Linear, norm};
use super::tensors::Tensors;
use super::token::{Token, tokens};
use crate::import::piece::{Conv, Piece};

/// The largest kernel that uneven zeros around a map are made a part of.
const MAX_KERNEL: usize = 64;

/// A stem as it is found.
pub(super) struct Stem {
    pub(super) spec: StemSpec,
    /// Linear map of the input by channel, ahead of the stem.
    pub(super) input: Option<Linear>,
    /// Bias of the last convolution of a bare stem.
    pub(super) offset: Offset,
}

/// Reads the stem off that ends at a piece; its tensors are put down. `flips`: the input's channels are in reverse.
pub(super) fn stem(pieces: &[Piece], end: usize, flips: bool, tensors: &mut Tensors) -> Result<Stem, String> {
    let mut run = vec![end];
    while let Some(&before) = run.last().and_then(|&at| pieces[at].reads.first()) {
        run.push(before);
    }
    run.pop();
    run.reverse();
    let tokens = tokens(pieces, &run)?;
    let (input, tokens) = match &tokens[..] {
        [Token::Norm(first), rest @ ..] => (Some(Linear::of(first, pieces[0].shape[0])?), rest),
        rest => (None, rest),
    };
    let mut stem = Stem { spec: StemSpec::new(Vec::new()), input, offset: None };
    let mut rest = tokens;
    let mut kinds = Vec::new();
    while let [Token::Conv(conv, node), behind @ ..] = rest {
        let index = stem.spec.convs.len();
        let (norm_pieces, behind) = match behind {
            [Token::Norm(pieces), behind @ ..] => (Some(&pieces[..]), behind),
            behind => (None, behind),
        };
        let (has_relu, behind) = match behind {
            [Token::Relu, behind @ ..] => (true, behind),
            behind => (false, behind),
        };
        let (shape, conv) = centred(conv, node, flips && index == 0)?;
        stem.spec.convs.push(shape);
        tensors.put_conv(LayerPath::Stem(StemPart::Conv(index)), &conv)?;
        let bias: Offset = conv.bias.as_ref().map(|bias| bias.iter().map(|&bias| f64::from(bias)).collect());
        if has_relu {
            let found = norm(norm_pieces.unwrap_or_default(), bias.as_deref(), conv.outputs)?;
            kinds.push(found.kind);
            tensors.put_norm(LayerPath::Stem(StemPart::Norm(index)), &found)?;
        } else if norm_pieces.is_none() && !matches!(behind, [Token::Conv(..), ..]) {
            (stem.spec.bare, stem.offset) = (true, bias);
        } else {
            return Err(format!("{node}: a convolution of the stem without a ReLU behind it"));
        }
        rest = behind;
    }
    stem.spec.norm = kinds.first().copied().unwrap_or(NormKind::Batch);
    if kinds.iter().any(|&kind| kind != stem.spec.norm) {
        return Err("norms of several kinds in the stem".to_owned());
    }
    (stem.spec.pool, stem.spec.anti_alias) = pool(rest)?;
    match stem.spec.pool {
        Some(MaxPool { zeros: true, .. }) if stem.offset.is_some() => {
            Err("a bias in front of a pool that pads with zeros".to_owned())
        }
        _ => Ok(stem),
    }
}

/// The pool at the end, and the filter in place of its stride.
fn pool(rest: &[Token<'_>]) -> Result<(Option<MaxPool>, Option<AntiAlias>), String> {
    let halving = |stride| MaxPool { stride, ..MaxPool::HALVING };
    match rest {
        [] => Ok((None, None)),
        [Token::MaxPool(pool, _)] => Ok((Some(*pool), None)),
        [Token::MaxPool(pool, _), Token::Blur { stride }] if pool.stride == 1 && *stride != 1 => {
            Ok((Some(MaxPool { stride: *stride, ..*pool }), Some(AntiAlias::Blur)))
        }
        [Token::Mean(window, _)]
            if window.kernel == window.stride && window.pads == [0; 4] && !window.ceil =>
        {
            Ok((Some(halving(window.stride)), Some(AntiAlias::Average)))
        }
        [token, ..] => Err(format!("{}: in a stem of another form", token.label())),
    }
}

/// A convolution with the same number of zeros on every side: where there are fewer on one, the kernel begins or ends
/// with zeros in their place.
fn centred(conv: &Conv, node: &str, flips: bool) -> Result<(StemConv, Conv), String> {
    let window = conv.window;
    let [top, left, bottom, right] = window.pads;
    let padding = top.max(bottom);
    if conv.groups != 1 || [top, bottom] != [left, right] {
        return Err(format!("{node}: groups, or pads {:?} that differ in height and width", window.pads));
    }
    let (before, side) = (padding - top, window.kernel + 2 * padding - top - bottom);
    if side > MAX_KERNEL {
        return Err(format!("{node}: pads {:?} around a kernel of {}", window.pads, window.kernel));
    }
    let mut weight = vec![0.0; conv.outputs * conv.inputs * side * side];
    let planes =
        weight.chunks_exact_mut(side * side).zip(conv.weight.chunks_exact(window.kernel * window.kernel));
    for (wide, plane) in planes {
        for (row, taps) in plane.chunks_exact(window.kernel).enumerate() {
            let begin = (row + before) * side + before;
            wide[begin..begin + window.kernel].copy_from_slice(taps);
        }
    }
    if flips {
        for filter in weight.chunks_exact_mut(conv.inputs * side * side) {
            let planes: Vec<Vec<f32>> = filter.chunks_exact(side * side).rev().map(<[f32]>::to_vec).collect();
            filter.copy_from_slice(&planes.concat());
        }
    }
    let shape = StemConv::same(conv.outputs, side, window.stride).with(|shape| shape.padding = padding);
    let window = crate::import::piece::Window { kernel: side, pads: [padding; 4], ..window };
    Ok((shape, Conv { weight: weight.into(), window, ..conv.clone() }))
}
