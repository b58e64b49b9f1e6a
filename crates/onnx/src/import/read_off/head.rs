//! The head: what stands between the last block and the output.

use super::dense::{Dense, dense_at};
use crate::import::piece::{Op, Piece};

/// Function of the logits that a graph gives.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::import) enum Ending {
    Logits,
    Softmax,
    Sigmoid,
}

/// A head as it is found.
pub(super) struct Head<'p> {
    pub(super) ending: Ending,
    pub(super) dense: Dense,
    /// Pieces of the norm in front of the pool, where there is one.
    pub(super) norm: Option<Vec<&'p Piece>>,
    /// The last piece of the blocks.
    pub(super) end: usize,
}

/// Reads the head off, from the output back. `is_calibrated`: a division of all logits by one number in front of the
/// probabilities is the temperature, which the file's metadata have.
pub(super) fn head(pieces: &[Piece], output: usize, is_calibrated: bool) -> Result<Head<'_>, String> {
    let mut at = output;
    let ending = match pieces[at].op {
        Op::Softmax => Ending::Softmax,
        Op::Sigmoid => Ending::Sigmoid,
        _ => Ending::Logits,
    };
    if ending != Ending::Logits {
        at = pieces[at].reads[0];
        if is_calibrated && is_division(&pieces[at]) {
            at = pieces[at].reads[0];
        }
    }
    let (dense, pooled) = dense_at(pieces, at)?;
    let pool = &pieces[pooled];
    let is_mean = match pool.op {
        Op::Mean => true,
        // A window as large as the map.
        Op::AveragePool(window) => {
            pool.shape[1..] == [1, 1]
                && window.pads == [0; 4]
                && pieces[pool.reads[0]].shape[1..] == [window.kernel; 2]
        }
        _ => false,
    };
    if !is_mean {
        return Err(format!("{}: where the mean of each channel was expected", pool.node));
    }
    let mut end = pool.reads[0];
    let mut norm = Vec::new();
    if matches!(pieces[end].op, Op::Relu) {
        let mut before = pieces[end].reads[0];
        while let Op::Affine { .. } | Op::BatchNorm { .. } | Op::GroupNorm { .. } = pieces[before].op {
            norm.insert(0, &pieces[before]);
            before = pieces[before].reads[0];
        }
        // Behind a convolution it would be a block's own.
        if norm.is_empty() || !matches!(pieces[before].op, Op::Add) {
            norm.clear();
        } else {
            end = before;
        }
    }
    Ok(Head { ending, dense, norm: (!norm.is_empty()).then_some(norm), end })
}

/// True for a multiplication of all channels by one number.
fn is_division(piece: &Piece) -> bool {
    match &piece.op {
        Op::Affine { scale, shift } => {
            shift.iter().all(|&shift| shift == 0.0) && scale.windows(2).all(|pair| pair[0] == pair[1])
        }
        _ => false,
    }
}
