//! The tensors of a norm, whatever it was folded into or split up to.

use residual_arch::NormKind;

use crate::import::piece::{Op, Piece};
use crate::norm::EPSILON;

/// Tensors of a norm.
#[derive(Debug, Clone)]
pub(super) struct NormTensors {
    pub(super) kind: NormKind,
    pub(super) weight: Vec<f32>,
    pub(super) bias: Vec<f32>,
    /// Running mean and variance of a batch norm.
    pub(super) statistics: Option<(Vec<f32>, Vec<f32>)>,
}

/// `y = scale x + shift` by channel.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::import) struct Linear {
    pub(in crate::import) scale: Vec<f64>,
    pub(in crate::import) shift: Vec<f64>,
}

impl Linear {
    pub(super) fn identity(channels: usize) -> Self {
        Self { scale: vec![1.0; channels], shift: vec![0.0; channels] }
    }

    /// The pieces one behind the other, all of them norms by running statistics and products and sums with constants.
    pub(super) fn of(pieces: &[&Piece], channels: usize) -> Result<Self, String> {
        pieces.iter().try_fold(Self::identity(channels), |linear, piece| match &piece.op {
            Op::Affine { scale, shift } => {
                let value = |values: &[f32], at: usize| f64::from(values[at]);
                Ok(linear.then(|at| (value(scale, at), value(shift, at))))
            }
            Op::BatchNorm { weight, bias, mean, variance, epsilon } => Ok(linear.then(|at| {
                let scale = f64::from(weight[at]) / (f64::from(variance[at]) + epsilon).sqrt();
                (scale, f64::from(bias[at]) - f64::from(mean[at]) * scale)
            })),
            _ => Err(format!("{}: a group norm where a batch norm or none was expected", piece.node)),
        })
    }

    fn then(mut self, next: impl Fn(usize) -> (f64, f64)) -> Self {
        for (at, (scale, shift)) in self.scale.iter_mut().zip(&mut self.shift).enumerate() {
            let (by, add) = next(at);
            (*scale, *shift) = (*scale * by, *shift * by + add);
        }
        self
    }
}

/// The norm that pieces amount to behind something that adds `before` to every channel (a convolution's bias).
///
/// A batch norm of a graph keeps its tensors; what is added before is taken off its mean. Whatever else is a batch
/// norm with a mean of 0 and a variance of 1 (less epsilon), and of a folded one the shift alone is left.
pub(super) fn norm(
    pieces: &[&Piece],
    before: Option<&[f64]>,
    channels: usize,
) -> Result<NormTensors, String> {
    match pieces {
        [piece, rest @ ..] if matches!(piece.op, Op::GroupNorm { .. }) => {
            group(piece, rest, before, channels)
        }
        [piece] => match &piece.op {
            Op::BatchNorm { weight, bias, mean, variance, epsilon } => {
                // Here every epsilon is the same.
                let more = epsilon - EPSILON;
                let variance =
                    variance.iter().map(|&v| if more == 0.0 { v } else { (f64::from(v) + more) as f32 });
                let variance: Vec<f32> = variance.collect();
                if variance.iter().any(|&v| v < 0.0) {
                    return of_linear(pieces, before, channels);
                }
                let mean = match before {
                    None => mean.to_vec(),
                    Some(before) => {
                        mean.iter().zip(before).map(|(&m, b)| (f64::from(m) - b) as f32).collect()
                    }
                };
                let (weight, bias) = (weight.to_vec(), bias.to_vec());
                Ok(NormTensors { kind: NormKind::Batch, weight, bias, statistics: Some((mean, variance)) })
            }
            _ => of_linear(pieces, before, channels),
        },
        _ => of_linear(pieces, before, channels),
    }
}

fn of_linear(pieces: &[&Piece], before: Option<&[f64]>, channels: usize) -> Result<NormTensors, String> {
    let Linear { scale, shift } = Linear::of(pieces, channels)?;
    let before = |at: usize| before.map_or(0.0, |before| before[at]);
    let bias = shift.iter().enumerate().map(|(at, shift)| (shift + scale[at] * before(at)) as f32).collect();
    let variance = (1.0 - EPSILON) as f32;
    Ok(NormTensors {
        kind: NormKind::Batch,
        weight: scale.iter().map(|&scale| scale as f32).collect(),
        bias,
        statistics: Some((vec![0.0; channels], vec![variance; channels])),
    })
}

fn group(
    piece: &Piece,
    rest: &[&Piece],
    before: Option<&[f64]>,
    channels: usize,
) -> Result<NormTensors, String> {
    let Op::GroupNorm { groups, epsilon } = piece.op else {
        return Err(format!("{}: no group norm", piece.node));
    };
    if (epsilon - EPSILON).abs() > 1e-9 {
        return Err(format!("{}: an epsilon of {epsilon}, where a specification has {EPSILON}", piece.node));
    }
    if before.is_some_and(|before| before.iter().any(|&before| before != 0.0)) {
        return Err(format!("{}: a group norm behind a bias", piece.node));
    }
    let Linear { scale, shift } = Linear::of(rest, channels)?;
    let rounded = |values: Vec<f64>| values.into_iter().map(|value| value as f32).collect();
    Ok(NormTensors {
        kind: NormKind::group(groups),
        weight: rounded(scale),
        bias: rounded(shift),
        statistics: None,
    })
}
