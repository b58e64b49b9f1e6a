//! What a block is.

use crate::pool::Pooling;
use crate::{ConvShape, Error, Layout};

/// A convolution of the branch; padded by half its kernel, no dilation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// Output channels.
    pub out_channels: usize,
    /// Rows and columns of the kernel.
    pub kernel: usize,
    /// Steps between output pixels.
    pub stride: usize,
    /// Groups of channels that do not mix.
    pub groups: usize,
}

/// Shortcut from the input to the addition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shortcut {
    /// None: a plain block.
    None,
    /// The input itself.
    Identity,
    /// A 1x1 convolution with this stride; with a batch normalisation in a post-activation block.
    Projection {
        /// Steps between output pixels: the product of the branch's.
        stride: usize,
    },
    /// The mean of 2x2 pixels with this stride, then a 1x1 convolution at stride 1, normalised as the
    /// projection's (ResNet-D, He et al. 2019). A window that hangs over the edge averages what is there.
    PooledProjection {
        /// Steps between output pixels: the product of the branch's.
        stride: usize,
    },
    /// Option A of He et al. 2015: every `stride`-th row and column, and channels of zeros on both sides of
    /// the input's, the odd one last. No parameters.
    ZeroPad {
        /// Steps between output pixels: the product of the branch's.
        stride: usize,
    },
}

/// Order of a convolution and its normalisation and ReLU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// conv-BN-ReLU, the last ReLU after the addition (He et al. 2015).
    PostActivation,
    /// BN-ReLU-conv, nothing after the addition (He et al. 2016).
    PreActivation,
}

/// Maps that are kept between the forward and the backward pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Memory {
    /// Tape, as the forward pass left it.
    #[default]
    Keep,
    /// Input of the block alone: the tape is computed again from it, to the same bits. A network of any depth trains in
    /// the memory of its blocks' inputs, for one more forward pass a step.
    Low,
}

/// A residual block: its branch, its shortcut and their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockShape {
    /// The branch, from the input on.
    pub links: Vec<Link>,
    /// The shortcut.
    pub shortcut: Shortcut,
    /// The order.
    pub order: Order,
    /// Channels between the two layers of a squeeze-and-excitation at the end of the branch (Hu et al. 2018).
    pub squeeze: Option<usize>,
}

/// Sizes of a bottleneck's branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bottleneck {
    /// Channels of the 3x3 convolution.
    pub width: usize,
    /// Groups of the 3x3 convolution.
    pub groups: usize,
    /// Output channels.
    pub out_channels: usize,
    /// Steps between output pixels of the 3x3 convolution.
    pub stride: usize,
}

pub(super) fn wrong(reason: String) -> Error {
    Error::Shape { what: "a residual block".into(), reason }
}

impl BlockShape {
    /// The basic block: two 3x3 convolutions, the first with the stride.
    pub fn basic(out_channels: usize, stride: usize, shortcut: Shortcut, order: Order) -> Self {
        let link = |stride| Link { out_channels, kernel: 3, stride, groups: 1 };
        Self { links: vec![link(stride), link(1)], shortcut, order, squeeze: None }
    }

    /// The bottleneck: 1x1 to the width, 3x3 with the stride in groups, 1x1 to the output channels.
    pub fn bottleneck(sizes: Bottleneck, shortcut: Shortcut, order: Order) -> Self {
        let Bottleneck { width, groups, out_channels, stride } = sizes;
        let links = vec![
            Link { out_channels: width, kernel: 1, stride: 1, groups: 1 },
            Link { out_channels: width, kernel: 3, stride, groups },
            Link { out_channels, kernel: 1, stride: 1, groups: 1 },
        ];
        Self { links, shortcut, order, squeeze: None }
    }

    /// Block with squeeze-and-excitation, of `middle` channels between its layers.
    #[must_use]
    pub fn with_squeeze(self, middle: usize) -> Self {
        Self { squeeze: Some(middle), ..self }
    }

    /// The convolutions of the branch on an input of layout `x`.
    pub(super) fn branch(&self, x: &Layout) -> Result<Vec<ConvShape>, Error> {
        if self.links.is_empty() {
            return Err(wrong("its branch is empty".into()));
        }
        let (mut channels, mut size) = (x.channels(), [x.height(), x.width()]);
        let mut convs = Vec::new();
        for link in &self.links {
            let conv = ConvShape {
                batch: x.batch(),
                in_channels: channels,
                out_channels: link.out_channels,
                size,
                kernel: [link.kernel; 2],
                stride: [link.stride; 2],
                padding: [link.kernel / 2; 2],
                dilation: [1; 2],
                groups: link.groups,
            };
            (channels, size) = (link.out_channels, conv.output()?);
            convs.push(conv);
        }
        Ok(convs)
    }

    /// The pooling before the projection, where it has one.
    pub(super) fn pooling(&self, x: &Layout) -> Result<Option<Pooling>, Error> {
        let Shortcut::PooledProjection { stride } = self.shortcut else { return Ok(None) };
        Pooling::overhanging([x.height(), x.width()], [2; 2], [stride; 2]).map(Some)
    }

    /// The projection on an input of layout `x`.
    pub(super) fn projection(&self, x: &Layout) -> Result<Option<ConvShape>, Error> {
        let (size, stride) = match (self.shortcut, self.pooling(x)?) {
            (Shortcut::Projection { stride }, _) => ([x.height(), x.width()], stride),
            (_, Some(pooling)) => (pooling.output(), 1),
            (_, None) => return Ok(None),
        };
        let conv = |last: &Link| ConvShape {
            batch: x.batch(),
            in_channels: x.channels(),
            out_channels: last.out_channels,
            size,
            kernel: [1; 2],
            stride: [stride; 2],
            padding: [0; 2],
            dilation: [1; 2],
            groups: 1,
        };
        Ok(self.links.last().map(conv))
    }

    /// Blocked maps of the block's output, without a border.
    ///
    /// # Errors
    /// [`Error::Shape`] where the branch is impossible on `x`, or the shortcut gives other maps: the
    /// message says both.
    pub fn output(&self, x: &Layout) -> Result<Layout, Error> {
        let maps = |conv: &ConvShape| -> Result<[usize; 3], Error> {
            let [h, w] = conv.output()?;
            Ok([conv.out_channels, h, w])
        };
        let branch = maps(&self.branch(x)?[self.links.len() - 1])?;
        let shortcut = match (self.shortcut, self.projection(x)?) {
            (Shortcut::None, _) => branch,
            (_, Some(projection)) => maps(&projection)?,
            (Shortcut::ZeroPad { stride }, _) if stride > 0 && x.channels() <= branch[0] => {
                [branch[0], x.height().div_ceil(stride), x.width().div_ceil(stride)]
            }
            (_, None) => [x.channels(), x.height(), x.width()],
        };
        if branch != shortcut {
            return Err(wrong(format!(
                "branch gives {branch:?} (channels, rows, columns), shortcut {shortcut:?}"
            )));
        }
        if self.squeeze == Some(0) {
            return Err(wrong("its squeeze has no channels".into()));
        }
        let [channels, h, w] = branch;
        Layout::blocked(x.batch(), channels, h, w)
    }
}
