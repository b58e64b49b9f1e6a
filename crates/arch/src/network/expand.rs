//! The meaning of a specification: the layers that stem, block and head stand for, in the order in which they
//! run. Nothing is checked here; [`check`](super::check) does that.

use std::iter::once;

use super::{
    Activation, AveragePool, BlockPart, BlockPath, BlurPool, EfficientAttention, HeadPart, LayerId, LayerOp,
    LayerPath, Reads, ShortcutPart, Source, SqueezeExcite, StemPart, ZeroPad,
};
use crate::{
    AntiAlias, Attention, BlockSpec, Convolution, HeadSpec, MaxPool, NetSpec, NormKind, Order, Shortcut,
    StemSpec,
};

/// A layer before shapes flow through it.
pub(crate) struct Draft {
    pub(crate) path: LayerPath,
    pub(crate) op: LayerOp,
    pub(crate) reads: Reads,
}

/// Part of a specification that stands for a run of layers.
#[derive(Clone, Copy)]
pub(crate) enum Part<'a> {
    Stem(&'a StemSpec),
    Block(Option<BlockPath>, &'a BlockSpec),
    Head(&'a HeadSpec),
}

/// A part with its layers.
pub(crate) struct Section<'a> {
    pub(crate) part: Part<'a>,
    pub(crate) drafts: Vec<Draft>,
}

/// The sections of a network: the stem, every block, the head.
pub(crate) fn sections(spec: &NetSpec) -> impl Iterator<Item = Section<'_>> {
    let depth = spec.depth_in_blocks() as f64;
    let blocks = spec.blocks().enumerate().map(move |(index, (path, block))| {
        // Linear rule: block l of L is dropped with probability p l / L.
        (Part::Block(Some(path), block), spec.stochastic_depth * (index + 1) as f64 / depth)
    });
    let parts = once((Part::Stem(&spec.stem), 0.0)).chain(blocks).chain(once((Part::Head(&spec.head), 0.0)));
    let (mut chain, mut channels) = (Chain::new(), spec.input[0]);
    parts.map(move |(part, drop)| {
        match part {
            Part::Stem(stem) => chain.stem(stem, channels),
            Part::Block(path, block) => chain.block(path, block, channels, drop),
            Part::Head(head) => chain.head(head, channels),
        }
        channels = match part {
            Part::Stem(stem) => stem.convs.last().map_or(channels, |conv| conv.channels),
            Part::Block(_, block) => block.channels,
            Part::Head(head) => head.classes,
        };
        Section { part, drafts: chain.take() }
    })
}

/// The section of a block that stands alone.
pub(crate) fn block(block: &BlockSpec, in_channels: usize) -> Section<'_> {
    let mut chain = Chain::new();
    chain.block(None, block, in_channels, 0.0);
    Section { part: Part::Block(None, block), drafts: chain.take() }
}

/// Layers as they are written down one behind the other.
struct Chain {
    drafts: Vec<Draft>,
    /// Layers written down so far, those taken out included.
    count: usize,
    /// Map that the next layer reads.
    end: Source,
}

impl Chain {
    fn new() -> Self {
        Self { drafts: Vec::new(), count: 0, end: Source::Input }
    }

    fn take(&mut self) -> Vec<Draft> {
        std::mem::take(&mut self.drafts)
    }

    /// A layer that reads the last one.
    fn push(&mut self, path: LayerPath, op: LayerOp) {
        self.push_reading(Reads::One(self.end), path, op);
    }

    fn push_reading(&mut self, reads: Reads, path: LayerPath, op: LayerOp) {
        self.drafts.push(Draft { path, op, reads });
        self.end = Source::Layer(LayerId(self.count));
        self.count += 1;
    }

    /// (conv, BN, ReLU) for each convolution, then the max pool.
    fn stem(&mut self, stem: &StemSpec, mut channels: usize) {
        for (index, conv) in stem.convs.iter().enumerate() {
            let conv = Convolution {
                in_channels: channels,
                out_channels: conv.channels,
                kernel: conv.kernel,
                stride: conv.stride,
                padding: conv.padding,
                groups: 1,
                kind: stem.conv,
            };
            channels = conv.out_channels;
            self.push(LayerPath::Stem(StemPart::Conv(index)), LayerOp::Conv(conv));
            if stem.has_norm(index) {
                self.push(LayerPath::Stem(StemPart::Norm(index)), norm(stem.norm, channels));
                self.push(LayerPath::Stem(StemPart::Act(index)), RELU);
            }
        }
        let Some(pool) = stem.pool else { return };
        let filter =
            stem.anti_alias.filter(|_| pool.stride != 1).map(|filter| filter_layer(filter, pool.stride));
        let filter = match (stem.anti_alias, filter) {
            // The average stands in place of the maximum.
            (Some(AntiAlias::Average), Some(average)) => {
                return self.push(LayerPath::Stem(StemPart::Pool), average);
            }
            (_, filter) => filter,
        };
        let stride = if filter.is_some() { 1 } else { pool.stride };
        self.push(LayerPath::Stem(StemPart::Pool), LayerOp::MaxPool(MaxPool { stride, ..pool }));
        if let Some(filter) = filter {
            self.push(LayerPath::Stem(StemPart::AntiAlias), filter);
        }
    }

    /// `y = act(F(x) + S(x))`: the branch, the shortcut, the addition, the activation.
    fn block(&mut self, path: Option<BlockPath>, block: &BlockSpec, in_channels: usize, drop: f64) {
        let at = |part| path.map_or(LayerPath::Alone(part), |path| LayerPath::Block(path, part));
        let x = self.end;
        let h = self.branch(&at, block, in_channels);
        if drop > 0.0 && !block.is_plain() {
            self.push(at(BlockPart::Depth), LayerOp::StochasticDepth { probability: drop });
        }
        let branch = self.end;
        self.end = match block.shortcut {
            Shortcut::Identity => x,
            _ => h,
        };
        self.shortcut(&at, block, in_channels);
        let shortcut = std::mem::replace(&mut self.end, branch);
        if !block.is_plain() {
            self.push_reading(Reads::Two(branch, shortcut), at(BlockPart::Add), LayerOp::Add);
        }
        if block.order == Order::PostActivation {
            self.push(at(BlockPart::OutputAct), RELU);
        }
    }

    /// The layers of `F`. Gives what a shortcut that changes the shape reads: `x`, or in pre-activation order
    /// what the first BN and ReLU make of it.
    fn branch(
        &mut self,
        at: &impl Fn(BlockPart) -> LayerPath,
        block: &BlockSpec,
        in_channels: usize,
    ) -> Source {
        let convs = block.convolutions(in_channels);
        let mut h = self.end;
        for (index, &conv) in convs.iter().enumerate() {
            let (number, last) = (index + 1, index + 1 == convs.len());
            if block.order == Order::PreActivation {
                self.push(at(BlockPart::Norm(number)), norm(block.norm, conv.in_channels));
                self.push(at(BlockPart::Act(number)), RELU);
                if index == 0 {
                    h = self.end;
                }
            }
            if let Some((before, filter)) = block.anti_aliased()
                && index == before + 1
            {
                self.push(at(BlockPart::AntiAlias), filter_layer(filter, block.stride));
            }
            self.push(at(BlockPart::Conv(number)), LayerOp::Conv(conv));
            if block.order == Order::PostActivation {
                let norm = block.norm.of(conv.out_channels, block.zero_init && last);
                self.push(at(BlockPart::Norm(number)), LayerOp::Norm(norm));
                if !last {
                    self.push(at(BlockPart::Act(number)), RELU);
                }
            }
        }
        if let Some(attention) = block.attention {
            let (part, op) = attention_layer(attention, block.channels);
            self.push(at(part), op);
        }
        h
    }

    /// The layers of `S`; an identity has none.
    fn shortcut(&mut self, at: &impl Fn(BlockPart) -> LayerPath, block: &BlockSpec, in_channels: usize) {
        let at = |part| at(BlockPart::Shortcut(part));
        match block.shortcut {
            Shortcut::None | Shortcut::Identity => {}
            Shortcut::Projection { channels, stride, average_pool, kernel } => {
                if average_pool {
                    let pool = LayerOp::AveragePool(AveragePool::overhanging(stride));
                    let pool = if stride == 1 { LayerOp::Identity } else { pool };
                    self.push(at(ShortcutPart::Pool), pool);
                }
                let conv = Convolution {
                    in_channels,
                    out_channels: channels,
                    kernel,
                    stride: if average_pool { 1 } else { stride },
                    padding: kernel / 2,
                    groups: 1,
                    kind: block.conv,
                };
                self.push(at(ShortcutPart::Conv), LayerOp::Conv(conv));
                if block.order == Order::PostActivation {
                    self.push(at(ShortcutPart::Norm), norm(block.norm, channels));
                }
            }
            Shortcut::ZeroPad { channels, stride } => {
                let pad = ZeroPad { in_channels, out_channels: channels, stride };
                self.push(at(ShortcutPart::Pad), LayerOp::ZeroPad(pad));
            }
        }
    }

    /// (BN, ReLU,) global average pool, (dropout,) linear layer.
    fn head(&mut self, head: &HeadSpec, channels: usize) {
        if head.norm {
            self.push(LayerPath::Head(HeadPart::Norm), norm(head.norm_kind, channels));
            self.push(LayerPath::Head(HeadPart::Act), RELU);
        }
        self.push(LayerPath::Head(HeadPart::Pool), LayerOp::GlobalAverage);
        if head.dropout > 0.0 {
            let dropout = LayerOp::Dropout { probability: head.dropout };
            self.push(LayerPath::Head(HeadPart::Dropout), dropout);
        }
        let linear = LayerOp::Linear { inputs: channels, outputs: head.classes };
        self.push(LayerPath::Head(HeadPart::Linear), linear);
    }
}

const RELU: LayerOp = LayerOp::Activation(Activation::Relu);

/// Filter with the stride of the layer before it.
fn filter_layer(filter: AntiAlias, stride: usize) -> LayerOp {
    match filter {
        AntiAlias::Blur => LayerOp::BlurPool(BlurPool { stride }),
        AntiAlias::Average => LayerOp::AveragePool(AveragePool { kernel: stride, stride, overhang: false }),
    }
}

/// Layer of a channel attention on a map of `channels`.
fn attention_layer(attention: Attention, channels: usize) -> (BlockPart, LayerOp) {
    match attention {
        Attention::SqueezeExcite { reduced } => {
            let squeeze = SqueezeExcite { channels, reduced };
            (BlockPart::SqueezeExcite, LayerOp::SqueezeExcite(squeeze))
        }
        Attention::Efficient { kernel } => {
            let attention = EfficientAttention { channels, kernel };
            (BlockPart::EfficientAttention, LayerOp::EfficientAttention(attention))
        }
    }
}

fn norm(kind: NormKind, channels: usize) -> LayerOp {
    LayerOp::Norm(kind.of(channels, false))
}
