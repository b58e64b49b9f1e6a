//! Linear layers and channel attentions.

use std::rc::Rc;

use residual_arch::Attention;

use super::norm::Linear;
use crate::import::piece::{Conv, Op, Piece};

/// Weight `[outputs, inputs]` and bias of a linear layer.
#[derive(Debug, Clone)]
pub(super) struct Dense {
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    pub(super) weight: Vec<f32>,
    pub(super) bias: Vec<f32>,
}

/// A channel attention with its tensors.
pub(super) enum Squeeze {
    /// Squeeze-and-excitation.
    Excite { reduce: Dense, expand: Dense },
    /// Efficient channel attention.
    Efficient { weight: Rc<[f32]> },
}

impl Squeeze {
    pub(super) fn spec(&self) -> Attention {
        match self {
            Self::Excite { reduce, .. } => Attention::squeeze_excite(reduce.outputs),
            Self::Efficient { weight } => Attention::Efficient { kernel: weight.len() },
        }
    }
}

impl Dense {
    /// A 1x1 convolution of features with the affine pieces behind it.
    pub(super) fn of(conv: &Conv, behind: &[&Piece]) -> Result<Self, String> {
        let linear = Linear::of(behind, conv.outputs)?;
        let bias = conv.bias.as_deref();
        let bias =
            |at: usize| bias.map_or(0.0, |bias| f64::from(bias[at])) * linear.scale[at] + linear.shift[at];
        let row = |(at, row): (usize, &[f32])| {
            let scale = linear.scale[at];
            row.iter().map(|&w| (f64::from(w) * scale) as f32).collect::<Vec<f32>>()
        };
        Ok(Self {
            inputs: conv.inputs,
            outputs: conv.outputs,
            weight: conv.weight.chunks_exact(conv.inputs.max(1)).enumerate().flat_map(row).collect(),
            bias: (0..conv.outputs).map(|at| bias(at) as f32).collect(),
        })
    }
}

/// The linear layer that ends at a piece of features, and the piece that it reads.
pub(super) fn dense_at(pieces: &[Piece], mut at: usize) -> Result<(Dense, usize), String> {
    let mut behind = Vec::new();
    while let Op::Affine { .. } | Op::BatchNorm { .. } = pieces[at].op {
        behind.insert(0, &pieces[at]);
        at = pieces[at].reads[0];
    }
    let piece = &pieces[at];
    match &piece.op {
        Op::Conv(conv) if conv.window.kernel == 1 && conv.groups == 1 && piece.shape[1..] == [1, 1] => {
            Ok((Dense::of(conv, &behind)?, piece.reads[0]))
        }
        _ => Err(format!("{}: where a linear layer of pooled features was expected", piece.node)),
    }
}

/// The channel attention that a product of a map and numbers by channel is.
pub(super) fn attention(pieces: &[Piece], gate: &Piece) -> Result<Squeeze, String> {
    let [map, numbers] = gate.reads[..] else { return Err(format!("{}: no gate", gate.node)) };
    let sigmoid = &pieces[numbers];
    let wrong = |piece: &Piece| format!("{}: in a channel attention of another form", piece.node);
    if !matches!(sigmoid.op, Op::Sigmoid) {
        return Err(wrong(sigmoid));
    }
    let before = sigmoid.reads[0];
    let (squeeze, mean) = match &pieces[before].op {
        Op::AlongChannels { weight } => {
            (Squeeze::Efficient { weight: Rc::clone(weight) }, pieces[before].reads[0])
        }
        _ => {
            let (expand, relu) = dense_at(pieces, before)?;
            if !matches!(pieces[relu].op, Op::Relu) {
                return Err(wrong(&pieces[relu]));
            }
            let (reduce, mean) = dense_at(pieces, pieces[relu].reads[0])?;
            (Squeeze::Excite { reduce, expand }, mean)
        }
    };
    match pieces[mean].op {
        Op::Mean if pieces[mean].reads[0] == map => Ok(squeeze),
        _ => Err(wrong(&pieces[mean])),
    }
}
