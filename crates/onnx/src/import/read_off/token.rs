//! A run of pieces as the layers of a specification.

use residual_arch::MaxPool;

use super::dense::{Squeeze, attention};
use crate::import::piece::{Conv, Op, Piece, Window};

/// The binomial filter of a blur pool.
const BLUR: [f32; 9] = [1., 2., 1., 2., 4., 2., 1., 2., 1.];

/// A layer, or several pieces that are one.
pub(super) enum Token<'p> {
    /// A convolution, the zeros around its map included.
    Conv(Conv, &'p str),
    /// Pieces that are a norm.
    Norm(Vec<&'p Piece>),
    Relu,
    Blur {
        stride: usize,
    },
    Mean(Window, &'p str),
    MaxPool(MaxPool, &'p str),
    Attention(Squeeze),
    Sample {
        stride: usize,
    },
    PadChannels {
        before: usize,
        after: usize,
    },
}

impl Token<'_> {
    /// The token for messages.
    pub(super) fn label(&self) -> String {
        match self {
            Self::Conv(_, node) | Self::Mean(_, node) | Self::MaxPool(_, node) => (*node).to_owned(),
            Self::Norm(pieces) => pieces.first().map_or("a norm", |piece| &piece.node).to_owned(),
            Self::Relu => "a ReLU".to_owned(),
            Self::Blur { .. } => "a blur pool".to_owned(),
            Self::Attention(_) => "a channel attention".to_owned(),
            Self::Sample { .. } | Self::PadChannels { .. } => "a zero-padded copy".to_owned(),
        }
    }
}

/// The pieces of these numbers, in the order in which they run, as tokens.
pub(super) fn tokens<'p>(pieces: &'p [Piece], run: &[usize]) -> Result<Vec<Token<'p>>, String> {
    let mut tokens: Vec<Token<'p>> = Vec::new();
    let mut at = 0;
    while let Some(&number) = run.get(at) {
        let piece = &pieces[number];
        let next = run.get(at + 1).map(|&next| &pieces[next]);
        at += 1;
        let is_relu = matches!(tokens.last(), Some(Token::Relu));
        tokens.push(match (&piece.op, next.map(|next| &next.op)) {
            (Op::Affine { .. } | Op::BatchNorm { .. }, _)
                if matches!(tokens.last(), Some(Token::Norm(_))) =>
            {
                if let Some(Token::Norm(pieces)) = tokens.last_mut() {
                    pieces.push(piece);
                }
                continue;
            }
            (Op::Affine { .. } | Op::BatchNorm { .. } | Op::GroupNorm { .. }, _) => Token::Norm(vec![piece]),
            (Op::Conv(conv), _) => Token::Conv(conv.clone(), &piece.node),
            (Op::Relu, _) => Token::Relu,
            (&Op::Pad { pads, value: 0.0 }, Some(Op::Conv(conv))) => {
                at += 1;
                Token::Conv(Conv { window: padded(conv.window, pads), ..conv.clone() }, &piece.node)
            }
            (&Op::Pad { pads, value }, Some(Op::MaxPool(window))) => {
                at += 1;
                let zeros = value == 0.0;
                if !zeros && value > f32::MIN || zeros && !is_relu && window.pads != [0; 4] {
                    return Err(format!("{}: pads with {value}", piece.node));
                }
                // Zeros are the least there is behind a ReLU.
                max_pool(piece, padded(*window, pads), zeros && !is_relu)?
            }
            (Op::Reflect { pads: [1, 1, 1, 1] }, Some(Op::Conv(conv))) if is_blur(conv) => {
                at += 1;
                Token::Blur { stride: conv.window.stride }
            }
            (Op::MaxPool(window), _) => max_pool(piece, *window, false)?,
            (Op::AveragePool(window), _) => Token::Mean(*window, &piece.node),
            (Op::Gate, _) => Token::Attention(attention(pieces, piece)?),
            (&Op::Sample { stride }, _) => Token::Sample { stride },
            (&Op::PadChannels { before, after }, _) => Token::PadChannels { before, after },
            _ => return Err(format!("{}: no layer of a specification has it here", piece.node)),
        });
    }
    Ok(tokens)
}

fn padded(window: Window, pads: [usize; 4]) -> Window {
    Window { pads: std::array::from_fn(|side| window.pads[side] + pads[side]), ..window }
}

fn max_pool<'p>(piece: &'p Piece, window: Window, zeros: bool) -> Result<Token<'p>, String> {
    let Window { kernel, stride, pads, .. } = window;
    let padding = window.padding();
    let padding = padding
        .ok_or_else(|| format!("{}: pads {pads:?}, which are not the same on every side", piece.node))?;
    Ok(Token::MaxPool(MaxPool { kernel, stride, padding, zeros: zeros && padding > 0 }, &piece.node))
}

/// True for the binomial filter by channel.
fn is_blur(conv: &Conv) -> bool {
    let is_filter =
        |filter: &[f32]| filter.iter().zip(BLUR).all(|(&tap, blur)| (tap - blur / 16.0).abs() < 1e-6);
    let is_by_channel = conv.groups == conv.inputs && conv.outputs == conv.inputs;
    is_by_channel
        && conv.bias.is_none()
        && conv.window.kernel == 3
        && conv.window.pads == [0; 4]
        && conv.weight.chunks_exact(9).all(is_filter)
}
