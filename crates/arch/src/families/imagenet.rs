//! torchvision's and timm's networks for 224x224 images.

use super::imagenet_rows::ROWS;
use super::pruned::{Stage, Widths};
use crate::{
    AntiAlias, Attention, BlockSpec, ConvKind, HeadSpec, MaxPool, Naming, NetSpec, NormKind, Preprocess,
    Resize, Shortcut, StageSpec, StemConv, StemSpec, Task,
};

/// A network as a row of the table: what differs from ResNet-18's and ResNet-50's arrangement.
#[derive(Clone, Copy)]
pub(super) struct Row {
    pub(super) name: &'static str,
    /// Number of blocks of each stage.
    pub(super) blocks: [usize; 4],
    /// Stages of bottlenecks; the others have basic blocks.
    pub(super) bottlenecks: [bool; 4],
    /// Channels of each stage before the fourfold of bottlenecks.
    pub(super) planes: [usize; 4],
    pub(super) groups: usize,
    pub(super) base_width: usize,
    pub(super) stem: Stem,
    pub(super) shortcut: Projection,
    pub(super) attention: Option<Kind>,
    pub(super) anti_alias: Option<AntiAlias>,
    pub(super) preactivation: bool,
    /// Half the width behind the first convolution of a bottleneck.
    pub(super) half_first: bool,
    pub(super) norm: NormKind,
    pub(super) conv: ConvKind,
    /// Channels that pruning has left.
    pub(super) pruned: Option<&'static Widths>,
    pub(super) naming: Naming,
}

#[derive(Clone, Copy)]
pub(super) enum Stem {
    /// One 7x7 convolution of these channels and a max pool.
    Plain(usize),
    /// One 7x7 convolution of these channels and a max pool that is padded with zeros: Big Transfer's.
    Fixed(usize),
    /// Three 3x3 convolutions of these channels and a max pool.
    Deep([usize; 3]),
    /// Three 3x3 convolutions of these channels and a fourth with stride 2 in place of the pool: ResNet-RS's.
    Strided([usize; 3]),
}

/// Convolution beside a block that changes the shape.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Projection {
    /// 1x1.
    Plain,
    /// Average pool, then 1x1: ResNet-D's.
    Pooled,
    /// 3x3 where there is a stride: SENet-154's.
    Wide,
}

/// Channel attention, sized for the channels of each block.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// Squeeze-and-excitation with the channels divided by this in its middle.
    SqueezeExcite(usize),
    Efficient,
}

/// torchvision's network.
pub(super) const fn tv(name: &'static str, blocks: [usize; 4], bottleneck: bool) -> Row {
    Row {
        name,
        blocks,
        bottlenecks: [bottleneck; 4],
        planes: [64, 128, 256, 512],
        groups: 1,
        base_width: 64,
        stem: Stem::Plain(64),
        shortcut: Projection::Plain,
        attention: None,
        anti_alias: None,
        preactivation: false,
        half_first: false,
        norm: NormKind::Batch,
        conv: ConvKind::Plain,
        pruned: None,
        naming: Naming::Torchvision,
    }
}

/// timm's network.
pub(super) const fn timm(name: &'static str, blocks: [usize; 4], bottleneck: bool) -> Row {
    Row { naming: Naming::Timm, ..tv(name, blocks, bottleneck) }
}

impl Row {
    /// Width of the 3x3 convolution by groups.
    pub(super) const fn wide(self, groups: usize, base_width: usize) -> Self {
        Self { groups, base_width, ..self }
    }

    /// ResNet-C: the deep stem.
    pub(super) const fn c(self) -> Self {
        Self { stem: Stem::Deep([32, 32, 64]), ..self }
    }

    /// ResNet-D: the deep stem and average-pool shortcuts.
    pub(super) const fn d(self) -> Self {
        self.c().average_pool()
    }

    /// ResNet-S: the deep stem at twice the channels.
    pub(super) const fn s(self) -> Self {
        Self { stem: Stem::Deep([64, 64, 128]), ..self }
    }

    /// ResNet-T: the tiered deep stem and average-pool shortcuts.
    pub(super) const fn t(self) -> Self {
        Self { stem: Stem::Deep([24, 32, 64]), ..self }.average_pool()
    }

    /// ResNet-RS (Bello et al. 2021): ResNet-D with a convolution for the stem's pool and squeeze-and-excitation of a
    /// quarter of the channels.
    pub(super) const fn rs(self) -> Self {
        let attention = Some(Kind::SqueezeExcite(4));
        Self { stem: Stem::Strided([32, 32, 64]), attention, ..self }.average_pool()
    }

    /// Average-pool shortcuts.
    pub(super) const fn average_pool(self) -> Self {
        Self { shortcut: Projection::Pooled, ..self }
    }

    /// Anti-aliased downsampling by blurring.
    pub(super) const fn blur(self) -> Self {
        Self { anti_alias: Some(AntiAlias::Blur), ..self }
    }

    /// Anti-aliased downsampling by averaging.
    pub(super) const fn aa(self) -> Self {
        Self { anti_alias: Some(AntiAlias::Average), ..self }
    }

    /// Squeeze-and-excitation with a sixteenth of the channels.
    pub(super) const fn se(self) -> Self {
        Self { attention: Some(Kind::SqueezeExcite(16)), ..self }
    }

    /// Efficient channel attention.
    pub(super) const fn eca(self) -> Self {
        Self { attention: Some(Kind::Efficient), ..self }
    }

    /// SENet-154's blocks (Hu et al. 2018): half the width first, 3x3 projections.
    pub(super) const fn senet(self) -> Self {
        Self { half_first: true, shortcut: Projection::Wide, ..self }
    }

    /// Pre-activation.
    pub(super) const fn v2(self) -> Self {
        Self { preactivation: true, ..self }
    }

    /// Group norm of 32 groups.
    pub(super) const fn gn(self) -> Self {
        Self { norm: NormKind::Group { groups: 32 }, ..self }
    }

    /// Big Transfer (Kolesnikov et al. 2020): pre-activation, group norm and weight standardisation, all channels
    /// times `factor`.
    pub(super) const fn bit(self, factor: usize) -> Self {
        let planes = [64 * factor, 128 * factor, 256 * factor, 512 * factor];
        Self { stem: Stem::Fixed(64 * factor), planes, conv: ConvKind::Standardised, ..self }.v2().gn()
    }

    /// The channels that pruning has left.
    pub(super) const fn pruned(self, widths: &'static Widths) -> Self {
        Self { pruned: Some(widths), ..self }
    }
}

/// The names of the table, in its order.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    ROWS.iter().map(|row| row.name)
}

/// The network called `name`, if it is one of these.
pub(super) fn network(name: &str) -> Option<NetSpec> {
    ROWS.iter().find(|row| row.name == name).map(Row::build)
}

impl Row {
    fn build(&self) -> NetSpec {
        let stem = self.stem();
        let mut channels = stem.channels();
        let mut stages = Vec::with_capacity(4);
        for stage in 0..4 {
            let mut blocks = Vec::with_capacity(self.blocks[stage]);
            for index in 0..self.blocks[stage] {
                let block = self.block(channels, [stage, index]);
                channels = block.channels;
                blocks.push(block);
            }
            stages.push(StageSpec { blocks });
        }
        let norm_kind = if self.preactivation { self.norm } else { NormKind::Batch };
        NetSpec {
            name: self.name.into(),
            naming: self.naming,
            input: [3, 224, 224],
            stem,
            stages,
            head: HeadSpec { norm: self.preactivation, norm_kind, ..HeadSpec::new(1000) },
            stochastic_depth: 0.0,
            preprocess: self.preprocess(),
            task: Task::SingleLabel,
        }
    }

    fn stem(&self) -> StemSpec {
        let plain = |channels, zeros| StemSpec {
            pool: Some(MaxPool { zeros, ..MaxPool::HALVING }),
            ..StemSpec::new(vec![StemConv::same(channels, 7, 2)])
        };
        let stem = match self.stem {
            Stem::Plain(channels) => plain(channels, false),
            Stem::Fixed(channels) => plain(channels, true),
            Stem::Deep([first, second, third]) => StemSpec::deep(first, second, third),
            Stem::Strided([first, second, third]) => {
                let mut stem = StemSpec { pool: None, ..StemSpec::deep(first, second, third) };
                stem.convs.push(StemConv::same(third, 3, 2));
                stem
            }
        };
        let (bare, anti_alias) = (self.preactivation, self.anti_alias);
        StemSpec { bare, anti_alias, conv: self.conv, norm: self.norm, ..stem }
    }

    /// Block `index` of stage `stage`, both counted from 0.
    fn block(&self, in_channels: usize, [stage, index]: [usize; 2]) -> BlockSpec {
        let (planes, bottleneck) = (self.planes[stage], self.bottlenecks[stage]);
        let stride = if stage > 0 && index == 0 { 2 } else { 1 };
        let full = if bottleneck { planes * 4 } else { planes };
        let channels = self.pruned.map_or(full, |widths| widths[stage].channels);
        let mut block = if bottleneck {
            let width = planes * self.base_width / 64 * self.groups;
            BlockSpec::bottleneck(in_channels, width, channels, stride)
        } else {
            let shortcut = Shortcut::fitting(in_channels, channels, stride);
            BlockSpec { stride, shortcut, ..BlockSpec::basic(channels) }
        };
        if self.half_first {
            block.first_width = Some(block.width / 2);
        }
        if let Some(Stage { blocks, .. }) = self.pruned.map(|widths| &widths[stage]) {
            let [first, second] = blocks[index];
            (block.first_width, block.width) = ((first != second).then_some(first), second);
        }
        (block.groups, block.norm, block.conv) = (self.groups, self.norm, self.conv);
        if self.preactivation {
            block = block.preactivation();
        }
        block.anti_alias = self.anti_alias;
        // Pruning leaves the kernels of the whole network.
        block.attention = self.attention.map(|kind| kind.sized(full));
        if let Shortcut::Projection { average_pool, kernel, .. } = &mut block.shortcut {
            *average_pool = self.shortcut == Projection::Pooled;
            *kernel = if self.shortcut == Projection::Wide && stride != 1 { 3 } else { 1 };
        }
        block
    }

    /// timm's pre-activation checkpoints are trained with inputs in [-1, 1] and evaluated on crops of
    /// 95%; the others have the usual transform.
    fn preprocess(&self) -> Preprocess {
        let usual = Preprocess::imagenet(256, 224);
        if !self.preactivation {
            return usual;
        }
        let half = vec![0.5; 3];
        Preprocess { resize: Some(Resize::ShorterSide(235)), mean: half.clone(), std: half, ..usual }
    }
}

impl Kind {
    fn sized(self, channels: usize) -> Attention {
        match self {
            Self::SqueezeExcite(ratio) => Attention::squeeze_excite(squeezed(channels, ratio)),
            Self::Efficient => Attention::efficient(channels),
        }
    }
}

/// The channels divided by `ratio`, to the nearest multiple of eight, at least eight: timm's `SEModule`.
fn squeezed(channels: usize, ratio: usize) -> usize {
    ((channels / ratio + 4) / 8 * 8).max(8)
}
