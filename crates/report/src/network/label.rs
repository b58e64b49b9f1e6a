//! Layers in a few words.

use residual_arch::{
    AveragePool, BlockPart, Convolution, Layer, LayerOp, MaxPool, Norm, ShortcutPart, ZeroPad,
};

/// Kind of a box, by which it is coloured; the text says it too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tint {
    /// Convolution or linear layer.
    Weights,
    /// Norm and activation.
    Norm,
    /// Pool, blur or padding.
    Pool,
    /// Channel attention.
    Attention,
    /// Layer that acts in training alone.
    Training,
}

impl Tint {
    /// Class of its box.
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Weights => "weights",
            Self::Norm => "norm",
            Self::Pool => "pool",
            Self::Attention => "attention",
            Self::Training => "training",
        }
    }
}

/// Words of a layer: what stands on a line is decided by the width that there is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Label {
    pub(super) tint: Tint,
    pub(super) words: Vec<String>,
}

impl Label {
    fn new<const N: usize>(tint: Tint, words: [String; N]) -> Self {
        Self { tint, words: words.into_iter().filter(|word| !word.is_empty()).collect() }
    }

    /// Label of a layer; `None` for one that has nothing to do.
    pub(super) fn of(layer: &Layer) -> Option<Self> {
        let training = |name: &str| Self::new(Tint::Training, [name.to_owned()]);
        Some(match *layer.op() {
            LayerOp::Conv(conv) => convolution(&conv, is_projection(layer)),
            LayerOp::Norm(Norm::Group { groups, .. }) => {
                Self::new(Tint::Norm, [format!("group norm {groups}")])
            }
            LayerOp::Norm(_) => Self::new(Tint::Norm, ["BN".to_owned()]),
            LayerOp::Activation(_) => Self::new(Tint::Norm, ["ReLU".to_owned()]),
            LayerOp::MaxPool(MaxPool { kernel, stride: by, .. }) => {
                Self::new(Tint::Pool, [format!("max pool {kernel}x{kernel}"), stride(by)])
            }
            LayerOp::AveragePool(AveragePool { kernel, stride: by, .. }) => {
                Self::new(Tint::Pool, [format!("average pool {kernel}x{kernel}"), stride(by)])
            }
            LayerOp::BlurPool(blur) => Self::new(Tint::Pool, ["blur 3x3".to_owned(), stride(blur.stride)]),
            LayerOp::ZeroPad(ZeroPad { out_channels, stride: by, .. }) => {
                let channels = format!("to {out_channels} channels");
                Self::new(Tint::Pool, ["zero-pad".to_owned(), channels, stride(by)])
            }
            LayerOp::SqueezeExcite(squeeze) => {
                let words = ["squeeze-excite".to_owned(), format!("{} inside", squeeze.reduced)];
                Self::new(Tint::Attention, words)
            }
            LayerOp::EfficientAttention(attention) => {
                let words = ["channel attention".to_owned(), format!("kernel {}", attention.kernel)];
                Self::new(Tint::Attention, words)
            }
            LayerOp::GlobalAverage => Self::new(Tint::Pool, ["global average pool".to_owned()]),
            LayerOp::Linear { outputs, .. } => Self::new(Tint::Weights, [format!("linear {outputs}")]),
            LayerOp::StochasticDepth { .. } => training("stochastic depth"),
            LayerOp::Dropout { probability } => training(&format!("dropout {probability}")),
            LayerOp::Identity => return None,
            _ => Self::new(Tint::Norm, [layer.path().name()]),
        })
    }
}

fn is_projection(layer: &Layer) -> bool {
    layer.path().block_part() == Some(BlockPart::Shortcut(ShortcutPart::Conv))
}

fn convolution(conv: &Convolution, projection: bool) -> Label {
    let Convolution { kernel, out_channels, groups, .. } = *conv;
    let name = if projection { "projection".to_owned() } else { String::new() };
    let groups = if groups == 1 { String::new() } else { format!("{groups} groups") };
    let kind = if conv.kind.is_plain() { String::new() } else { conv.kind.to_string() };
    let size = format!("conv {kernel}x{kernel}, {out_channels}");
    Label::new(Tint::Weights, [name, size, stride(conv.stride), groups, kind])
}

fn stride(stride: usize) -> String {
    if stride == 1 { String::new() } else { format!("stride {stride}") }
}

/// Words on as few lines of at most `letters` letters as hold them in order; a word is not divided.
pub(super) fn lines(words: &[String], letters: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in words {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 2 + word.chars().count() <= letters => {
                line.push_str(", ");
                line.push_str(word);
            }
            _ => lines.push(word.clone()),
        }
    }
    lines
}

/// Text of at most `letters` letters: its beginning and an ellipsis where it has more.
pub(super) fn cut(text: &str, letters: usize) -> String {
    if text.chars().count() <= letters {
        return text.to_owned();
    }
    text.chars().take(letters.saturating_sub(1)).chain(['…']).collect()
}

/// Shape as `64x56x56`.
pub(super) fn shape([channels, height, width]: [usize; 3]) -> String {
    format!("{channels}x{height}x{width}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_fill_lines_and_none_is_lost() {
        let words = ["conv 3x3, 128", "stride 2", "32 groups"].map(str::to_owned);
        assert_eq!(lines(&words, 28), ["conv 3x3, 128, stride 2", "32 groups"]);
        assert_eq!(lines(&words, 5), words);
        assert_eq!(cut("abcdef", 6), "abcdef");
        assert_eq!(cut("abcdefg", 6), "abcde…");
    }
}
