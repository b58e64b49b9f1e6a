//! torchvision's and timm's networks for 224x224 images.

use crate::{
    AntiAlias, Attention, BlockSpec, HeadSpec, Naming, NetSpec, Preprocess, Resize, Shortcut, StageSpec,
    StemSpec,
};

const BASIC: bool = false;
const BOTTLENECK: bool = true;

/// A network as a row of the table: what differs from ResNet-18's and ResNet-50's arrangement.
#[derive(Clone, Copy)]
struct Row {
    name: &'static str,
    blocks: [usize; 4],
    bottleneck: bool,
    groups: usize,
    base_width: usize,
    stem: Stem,
    /// Average-pool shortcuts (ResNet-D).
    average_pool: bool,
    attention: Option<Kind>,
    anti_alias: Option<AntiAlias>,
    preactivation: bool,
    naming: Naming,
}

#[derive(Clone, Copy)]
enum Stem {
    /// One 7x7 convolution.
    Plain,
    /// Three 3x3 convolutions of these channels.
    Deep([usize; 3]),
}

/// Channel attention, sized for the channels of each block.
#[derive(Clone, Copy)]
enum Kind {
    SqueezeExcite,
    Efficient,
}

/// torchvision's network.
const fn tv(name: &'static str, blocks: [usize; 4], bottleneck: bool) -> Row {
    Row {
        name,
        blocks,
        bottleneck,
        groups: 1,
        base_width: 64,
        stem: Stem::Plain,
        average_pool: false,
        attention: None,
        anti_alias: None,
        preactivation: false,
        naming: Naming::Torchvision,
    }
}

/// timm's network.
const fn timm(name: &'static str, blocks: [usize; 4], bottleneck: bool) -> Row {
    Row { naming: Naming::Timm, ..tv(name, blocks, bottleneck) }
}

impl Row {
    /// Width of the 3x3 convolution by groups.
    const fn wide(self, groups: usize, base_width: usize) -> Self {
        Self { groups, base_width, ..self }
    }

    /// ResNet-D: the deep stem and average-pool shortcuts.
    const fn d(self) -> Self {
        Self { stem: Stem::Deep([32, 32, 64]), average_pool: true, ..self }
    }

    /// ResNet-T: the tiered deep stem and average-pool shortcuts.
    const fn t(self) -> Self {
        Self { stem: Stem::Deep([24, 32, 64]), average_pool: true, ..self }
    }

    /// Average-pool shortcuts behind the plain stem.
    const fn average_pool(self) -> Self {
        Self { average_pool: true, ..self }
    }

    /// The deep stem at twice the channels.
    const fn wide_stem(self) -> Self {
        Self { stem: Stem::Deep([64, 64, 128]), ..self }
    }

    /// Anti-aliased downsampling by blurring.
    const fn blur(self) -> Self {
        Self { anti_alias: Some(AntiAlias::Blur), ..self }
    }

    /// Anti-aliased downsampling by averaging.
    const fn aa(self) -> Self {
        Self { anti_alias: Some(AntiAlias::Average), ..self }
    }

    const fn se(self) -> Self {
        Self { attention: Some(Kind::SqueezeExcite), ..self }
    }

    const fn eca(self) -> Self {
        Self { attention: Some(Kind::Efficient), ..self }
    }

    const fn v2(self) -> Self {
        Self { preactivation: true, ..self }
    }
}

const D18: [usize; 4] = [2, 2, 2, 2];
const D34: [usize; 4] = [3, 4, 6, 3];
const D101: [usize; 4] = [3, 4, 23, 3];
const D152: [usize; 4] = [3, 8, 36, 3];

const ROWS: [Row; 45] = [
    tv("resnet18", D18, BASIC),
    tv("resnet34", D34, BASIC),
    tv("resnet50", D34, BOTTLENECK),
    tv("resnet101", D101, BOTTLENECK),
    tv("resnet152", D152, BOTTLENECK),
    tv("wide_resnet50_2", D34, BOTTLENECK).wide(1, 128),
    tv("wide_resnet101_2", D101, BOTTLENECK).wide(1, 128),
    tv("resnext50_32x4d", D34, BOTTLENECK).wide(32, 4),
    tv("resnext101_32x8d", D101, BOTTLENECK).wide(32, 8),
    tv("resnext101_64x4d", D101, BOTTLENECK).wide(64, 4),
    timm("resnet26d", D18, BOTTLENECK).d(),
    timm("resnet34d", D34, BASIC).d(),
    timm("resnet50d", D34, BOTTLENECK).d(),
    timm("resnet101d", D101, BOTTLENECK).d(),
    timm("resnet152d", D152, BOTTLENECK).d(),
    timm("resnet26t", D18, BOTTLENECK).t(),
    timm("seresnet18", D18, BASIC).se(),
    timm("seresnet34", D34, BASIC).se(),
    timm("seresnet50", D34, BOTTLENECK).se(),
    timm("seresnet101", D101, BOTTLENECK).se(),
    timm("seresnet152", D152, BOTTLENECK).se(),
    timm("ecaresnet26t", D18, BOTTLENECK).t().eca(),
    timm("ecaresnet50t", D34, BOTTLENECK).t().eca(),
    timm("ecaresnet50d", D34, BOTTLENECK).d().eca(),
    timm("ecaresnet101d", D101, BOTTLENECK).d().eca(),
    timm("ecaresnet200d", [3, 24, 36, 3], BOTTLENECK).d().eca(),
    timm("ecaresnet269d", [3, 30, 48, 8], BOTTLENECK).d().eca(),
    timm("ecaresnetlight", [1, 1, 11, 3], BOTTLENECK).average_pool().eca(),
    timm("ecaresnext26t_32x4d", D18, BOTTLENECK).wide(32, 4).t().eca(),
    timm("ecaresnext50t_32x4d", D34, BOTTLENECK).wide(32, 4).t().eca(),
    timm("resnetblur18", D18, BASIC).blur(),
    timm("resnetblur50", D34, BOTTLENECK).blur(),
    timm("resnetblur50d", D34, BOTTLENECK).d().blur(),
    timm("resnetblur101d", D101, BOTTLENECK).d().blur(),
    timm("resnetaa34d", D34, BASIC).d().aa(),
    timm("resnetaa50", D34, BOTTLENECK).aa(),
    timm("resnetaa50d", D34, BOTTLENECK).d().aa(),
    timm("resnetaa101d", D101, BOTTLENECK).d().aa(),
    timm("seresnetaa50d", D34, BOTTLENECK).d().se().aa(),
    timm("seresnextaa101d_32x8d", D101, BOTTLENECK).wide(32, 8).d().se().aa(),
    timm("seresnextaa201d_32x8d", [3, 24, 36, 4], BOTTLENECK).wide(32, 8).d().wide_stem().se().aa(),
    timm("resnetv2_50", D34, BOTTLENECK).v2(),
    timm("resnetv2_101", D101, BOTTLENECK).v2(),
    timm("resnetv2_152", D152, BOTTLENECK).v2(),
    timm("resnetv2_50d", D34, BOTTLENECK).v2().d(),
];

/// The network called `name`, if it is one of these.
pub(super) fn network(name: &str) -> Option<NetSpec> {
    ROWS.iter().find(|row| row.name == name).map(Row::build)
}

impl Row {
    fn build(&self) -> NetSpec {
        let stem = self.stem();
        let mut channels = stem.channels();
        let mut stages = Vec::with_capacity(4);
        for (index, &count) in self.blocks.iter().enumerate() {
            let planes = 64 << index;
            let stride = if index == 0 { 1 } else { 2 };
            let mut blocks = vec![self.block(channels, planes, stride)];
            channels = blocks[0].channels;
            blocks.resize(count, self.block(channels, planes, 1));
            stages.push(StageSpec { blocks });
        }
        NetSpec {
            name: self.name.into(),
            naming: self.naming,
            input: [3, 224, 224],
            stem,
            stages,
            head: HeadSpec { norm: self.preactivation, ..HeadSpec::new(1000) },
            stochastic_depth: 0.0,
            preprocess: self.preprocess(),
        }
    }

    fn stem(&self) -> StemSpec {
        let stem = match self.stem {
            Stem::Plain => StemSpec::imagenet(),
            Stem::Deep([first, second, third]) => StemSpec::deep(first, second, third),
        };
        StemSpec { bare: self.preactivation, anti_alias: self.anti_alias, ..stem }
    }

    fn block(&self, in_channels: usize, planes: usize, stride: usize) -> BlockSpec {
        let mut block = if self.bottleneck {
            let width = planes * self.base_width / 64 * self.groups;
            BlockSpec::bottleneck(in_channels, width, planes * 4, stride)
        } else {
            let shortcut = Shortcut::fitting(in_channels, planes, stride);
            BlockSpec { stride, shortcut, ..BlockSpec::basic(planes) }
        };
        block.groups = self.groups;
        if self.preactivation {
            block = block.preactivation();
        }
        block.anti_alias = self.anti_alias;
        block.attention = self.attention.map(|kind| kind.sized(block.channels));
        if let Shortcut::Projection { average_pool, .. } = &mut block.shortcut {
            *average_pool = self.average_pool;
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
            Self::SqueezeExcite => Attention::squeeze_excite(squeezed(channels)),
            Self::Efficient => Attention::efficient(channels),
        }
    }
}

/// A sixteenth of the channels, to the nearest multiple of eight, at least eight: timm's `SEModule`.
fn squeezed(channels: usize) -> usize {
    ((channels / 16 + 4) / 8 * 8).max(8)
}
