//! One residual block as data: `y = act(F(x) + S(x))`.

use std::fmt;

use crate::{AntiAlias, Attention, ConvKind, NormKind, Shortcut};

/// A block: its branch `F`, and its shortcut `S`.
///
/// The number of input channels is not part of a block: it is what the layer before gives.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct BlockSpec {
    /// Kind: the convolutions that the branch is made of.
    pub kind: BlockKind,
    /// Order of normalisation, activation and convolution.
    pub order: Order,
    /// Output channels of the branch.
    pub channels: usize,
    /// Channels between the branch's convolutions: of the only inner map of a basic block, of both
    /// inner maps of a bottleneck.
    pub width: usize,
    /// Channels of the first 1x1 convolution of a bottleneck where they are not `width`: half of them in SENet-154 (Hu
    /// et al. 2018), others in pruned networks. Has no effect on basic blocks.
    pub first_width: Option<usize>,
    /// Kind of the convolutions of branch and shortcut.
    pub conv: ConvKind,
    /// Kind of the normalisation of branch and shortcut.
    pub norm: NormKind,
    /// Stride of the block, held by its first 3x3 convolution.
    pub stride: usize,
    /// True where a bottleneck's first 1x1 convolution holds the stride in place of its 3x3, as in the authors' own
    /// networks (He et al. 2015, table 1), in Caffe's and MXNet's "v1" and in transformers' `downsample_in_bottleneck`;
    /// torchvision and timm have the other ("v1.5"). Has no effect on basic blocks.
    pub stride_first: bool,
    /// Anti-aliased downsampling in place of the stride of that convolution; the shortcut keeps its own.
    pub anti_alias: Option<AntiAlias>,
    /// Groups of the 3x3 convolution of a bottleneck, of both of a basic block (ResNeXt, Xie et al. 2017).
    pub groups: usize,
    /// Channel attention at the end of the branch.
    pub attention: Option<Attention>,
    /// Start with the scale of the branch's last batch norm at zero, so that the block begins as its
    /// shortcut (Goyal et al. 2017, section 5.1). Has no effect on pre-activation blocks, which end in a
    /// convolution.
    pub zero_init: bool,
    /// The path beside the branch.
    pub shortcut: Shortcut,
}

/// The convolutions of a branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BlockKind {
    /// 3x3 with the stride, 3x3 (He et al. 2015, figure 5 left).
    Basic,
    /// 1x1, 3x3, 1x1 (He et al. 2015, figure 5 right); the stride is the 3x3's, as torchvision has it, or the first
    /// 1x1's ([`stride_first`](BlockSpec::stride_first)).
    Bottleneck,
}

/// The order of convolution, batch norm (BN) and ReLU in a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Order {
    /// conv-BN-ReLU, the last ReLU after the addition (He et al. 2015).
    PostActivation,
    /// BN-ReLU-conv, nothing after the addition (He et al. 2016). A shortcut that changes the shape
    /// takes its input after the first BN-ReLU and has no BN of its own.
    PreActivation,
}

impl BlockSpec {
    /// conv3-BN-ReLU-conv3-BN, add, ReLU, with an identity shortcut.
    ///
    /// ```
    /// use residual_arch::{BlockSpec, Shortcut};
    /// let block = BlockSpec::basic(64);
    /// assert_eq!(block.shortcut, Shortcut::Identity);
    /// ```
    pub fn basic(channels: usize) -> Self {
        Self {
            kind: BlockKind::Basic,
            order: Order::PostActivation,
            channels,
            width: channels,
            first_width: None,
            conv: ConvKind::Plain,
            norm: NormKind::Batch,
            stride: 1,
            stride_first: false,
            anti_alias: None,
            groups: 1,
            attention: None,
            zero_init: false,
            shortcut: Shortcut::Identity,
        }
    }

    /// A basic block with a 1x1 convolution and BN as its shortcut.
    pub fn projection(channels: usize, stride: usize) -> Self {
        Self { stride, shortcut: Shortcut::projection(channels, stride), ..Self::basic(channels) }
    }

    /// conv1-BN-ReLU-conv3-BN-ReLU-conv1-BN, add, ReLU. The shortcut is a projection exactly when
    /// `stride != 1` or `in_channels != channels`, else the identity.
    pub fn bottleneck(in_channels: usize, width: usize, channels: usize, stride: usize) -> Self {
        Self {
            kind: BlockKind::Bottleneck,
            width,
            stride,
            shortcut: Shortcut::fitting(in_channels, channels, stride),
            ..Self::basic(channels)
        }
    }

    /// Changes fields.
    ///
    /// ```
    /// use residual_arch::BlockSpec;
    /// let block = BlockSpec::basic(64).with(|block| block.groups = 4);
    /// assert_eq!((block.channels, block.groups), (64, 4));
    /// ```
    pub fn with<R>(mut self, change: impl FnOnce(&mut Self) -> R) -> Self {
        change(&mut self);
        self
    }

    /// Block with these layers in pre-activation order.
    pub fn preactivation(self) -> Self {
        Self { order: Order::PreActivation, ..self }
    }

    /// Plain block: these layers without a shortcut, the control of every experiment.
    pub fn plain(self) -> Self {
        Self { shortcut: Shortcut::None, ..self }
    }

    /// True for a plain block, one without a shortcut.
    pub fn is_plain(&self) -> bool {
        self.shortcut == Shortcut::None
    }

    /// The filter of anti-aliased downsampling and the convolution behind which it stands, counted from 0, behind its
    /// norm and activation as well; `None` where nothing is to be downsampled.
    pub fn anti_aliased(&self) -> Option<(usize, AntiAlias)> {
        self.anti_alias.filter(|_| self.stride != 1).map(|filter| (self.strided(), filter))
    }

    /// True where the stride is at another convolution than it usually is.
    pub(crate) fn holds_stride_first(&self) -> bool {
        self.stride != 1 && self.stride_first && self.kind == BlockKind::Bottleneck
    }

    /// The convolution of the branch that holds the block's stride, counted from 0.
    pub(crate) fn strided(&self) -> usize {
        usize::from(self.kind == BlockKind::Bottleneck && !self.stride_first)
    }

    /// The convolutions of the branch in order, for an input of `in_channels`. Behind one of them stands the filter of
    /// anti-aliased downsampling, with the block's stride ([`anti_aliased`](Self::anti_aliased)).
    pub fn convolutions(&self, in_channels: usize) -> Vec<Convolution> {
        let conv =
            |i, o, kernel, groups| Convolution { groups, kind: self.conv, ..Convolution::new(i, o, kernel) };
        let mut convolutions = match self.kind {
            BlockKind::Basic => vec![
                conv(in_channels, self.width, 3, self.groups),
                conv(self.width, self.channels, 3, self.groups),
            ],
            BlockKind::Bottleneck => {
                let first = self.first_width.unwrap_or(self.width);
                vec![
                    conv(in_channels, first, 1, 1),
                    conv(first, self.width, 3, self.groups),
                    conv(self.width, self.channels, 1, 1),
                ]
            }
        };
        if self.anti_aliased().is_none() {
            convolutions[self.strided()].stride = self.stride;
        }
        convolutions
    }
}

/// A square two-dimensional convolution without bias, weight `[out, in / groups, kernel, kernel]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Convolution {
    /// Input channels.
    pub in_channels: usize,
    /// Output channels.
    pub out_channels: usize,
    /// Side of the kernel.
    pub kernel: usize,
    /// Stride in both directions.
    pub stride: usize,
    /// Zero padding on every side.
    pub padding: usize,
    /// Groups.
    pub groups: usize,
    /// Kind: what its weight goes through first.
    pub kind: ConvKind,
}

impl Convolution {
    /// A convolution with stride 1 and one group that keeps the map's size where the kernel is odd: padding is half the
    /// kernel.
    pub fn new(in_channels: usize, out_channels: usize, kernel: usize) -> Self {
        Self {
            in_channels,
            out_channels,
            kernel,
            stride: 1,
            padding: kernel / 2,
            groups: 1,
            kind: ConvKind::Plain,
        }
    }

    /// Changes fields.
    ///
    /// ```
    /// use residual_arch::Convolution;
    /// let halving = Convolution::new(16, 32, 3).with(|conv| conv.stride = 2);
    /// assert_eq!(halving.output_side(32), Some(16));
    /// ```
    pub fn with<R>(mut self, change: impl FnOnce(&mut Self) -> R) -> Self {
        change(&mut self);
        self
    }

    /// Shape of the weight, `[out, in / groups, kernel, kernel]`. Zero groups count as one: the shape
    /// check names that error.
    pub fn weight(&self) -> [usize; 4] {
        [self.out_channels, self.in_channels / self.groups.max(1), self.kernel, self.kernel]
    }

    /// Side of the output for an input of side `side`: `(side + 2 padding - kernel) / stride + 1`,
    /// `None` where the kernel does not fit.
    pub fn output_side(&self, side: usize) -> Option<usize> {
        output_side(side, self.kernel, self.stride, self.padding)
    }
}

/// Side of a convolution's or pool's output, `(side + 2 padding - kernel) / stride + 1` rounded down;
/// `None` where the kernel does not fit or the stride is zero.
pub(crate) fn output_side(side: usize, kernel: usize, stride: usize, padding: usize) -> Option<usize> {
    let padded = side.saturating_add(padding.saturating_mul(2));
    Some(padded.checked_sub(kernel)?.checked_div(stride)?.saturating_add(1))
}

impl fmt::Display for BlockSpec {
    /// `bottleneck 128-512, stride 2, groups 32`, `stride 2 first` where the first 1x1 convolution holds it: the width inside where it differs, the channels, and
    /// what is out of the ordinary.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            BlockKind::Basic => "basic",
            BlockKind::Bottleneck => "bottleneck",
        };
        write!(f, "{kind} ")?;
        if let Some(first) = self.first_width.filter(|_| self.kind == BlockKind::Bottleneck) {
            write!(f, "{first}-")?;
        }
        if self.width != self.channels {
            write!(f, "{}-", self.width)?;
        }
        write!(f, "{}", self.channels)?;
        if self.stride != 1 {
            write!(f, ", stride {}", self.stride)?;
        }
        if self.holds_stride_first() {
            write!(f, " first")?;
        }
        if let Some((_, filter)) = self.anti_aliased() {
            write!(f, ", {filter}")?;
        }
        if self.groups != 1 {
            write!(f, ", groups {}", self.groups)?;
        }
        if let Some(attention) = self.attention {
            write!(f, ", {attention}")?;
        }
        if self.order == Order::PreActivation {
            write!(f, ", pre-activation")?;
        }
        if !self.norm.is_batch() {
            write!(f, ", {}", self.norm)?;
        }
        if !self.conv.is_plain() {
            write!(f, ", {} convolutions", self.conv)?;
        }
        Ok(())
    }
}
