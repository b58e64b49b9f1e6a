//! torchvision's and timm's networks for 224x224 images.

use crate::{BlockSpec, HeadSpec, Naming, NetSpec, Preprocess, Resize, Shortcut, StageSpec, StemSpec};

const BASIC: bool = false;
const BOTTLENECK: bool = true;

/// A network as a row of the tables: what differs from ResNet-50's arrangement.
#[derive(Clone, Copy)]
struct Row {
    name: &'static str,
    blocks: [usize; 4],
    bottleneck: bool,
    groups: usize,
    base_width: usize,
    variant: Variant,
}

#[derive(Clone, Copy, PartialEq)]
enum Variant {
    /// torchvision's.
    Torchvision,
    /// Deep stem, average-pool shortcuts.
    D,
    /// Tiered stem, average-pool shortcuts.
    T,
    /// Squeeze-and-excitation.
    Se,
    /// Pre-activation.
    V2,
    /// Pre-activation with deep stem and average-pool shortcuts.
    V2D,
}

const fn row(name: &'static str, blocks: [usize; 4], bottleneck: bool, variant: Variant) -> Row {
    Row { name, blocks, bottleneck, groups: 1, base_width: 64, variant }
}

const fn wide(name: &'static str, blocks: [usize; 4], groups: usize, base_width: usize) -> Row {
    Row { groups, base_width, ..row(name, blocks, BOTTLENECK, Variant::Torchvision) }
}

const D18: [usize; 4] = [2, 2, 2, 2];
const D34: [usize; 4] = [3, 4, 6, 3];
const D101: [usize; 4] = [3, 4, 23, 3];
const D152: [usize; 4] = [3, 8, 36, 3];

const ROWS: [Row; 25] = [
    row("resnet18", D18, BASIC, Variant::Torchvision),
    row("resnet34", D34, BASIC, Variant::Torchvision),
    row("resnet50", D34, BOTTLENECK, Variant::Torchvision),
    row("resnet101", D101, BOTTLENECK, Variant::Torchvision),
    row("resnet152", D152, BOTTLENECK, Variant::Torchvision),
    wide("wide_resnet50_2", D34, 1, 128),
    wide("wide_resnet101_2", D101, 1, 128),
    wide("resnext50_32x4d", D34, 32, 4),
    wide("resnext101_32x8d", D101, 32, 8),
    wide("resnext101_64x4d", D101, 64, 4),
    row("resnet26d", D18, BOTTLENECK, Variant::D),
    row("resnet34d", D34, BASIC, Variant::D),
    row("resnet50d", D34, BOTTLENECK, Variant::D),
    row("resnet101d", D101, BOTTLENECK, Variant::D),
    row("resnet152d", D152, BOTTLENECK, Variant::D),
    row("resnet26t", D18, BOTTLENECK, Variant::T),
    row("seresnet18", D18, BASIC, Variant::Se),
    row("seresnet34", D34, BASIC, Variant::Se),
    row("seresnet50", D34, BOTTLENECK, Variant::Se),
    row("seresnet101", D101, BOTTLENECK, Variant::Se),
    row("seresnet152", D152, BOTTLENECK, Variant::Se),
    row("resnetv2_50", D34, BOTTLENECK, Variant::V2),
    row("resnetv2_101", D101, BOTTLENECK, Variant::V2),
    row("resnetv2_152", D152, BOTTLENECK, Variant::V2),
    row("resnetv2_50d", D34, BOTTLENECK, Variant::V2D),
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
            naming: match self.variant {
                Variant::Torchvision => Naming::Torchvision,
                _ => Naming::Timm,
            },
            input: [3, 224, 224],
            stem,
            stages,
            head: HeadSpec { norm: self.preactivation(), ..HeadSpec::new(1000) },
            stochastic_depth: 0.0,
            preprocess: self.preprocess(),
        }
    }

    fn preactivation(&self) -> bool {
        matches!(self.variant, Variant::V2 | Variant::V2D)
    }

    fn stem(&self) -> StemSpec {
        let stem = match self.variant {
            Variant::D | Variant::V2D => StemSpec::deep(32, 32, 64),
            Variant::T => StemSpec::deep(24, 32, 64),
            Variant::Torchvision | Variant::Se | Variant::V2 => StemSpec::imagenet(),
        };
        StemSpec { bare: self.preactivation(), ..stem }
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
        if self.preactivation() {
            block = block.preactivation();
        }
        if self.variant == Variant::Se {
            block.squeeze_excite = Some(squeezed(block.channels));
        }
        if let (Variant::D | Variant::T | Variant::V2D, Shortcut::Projection { average_pool, .. }) =
            (self.variant, &mut block.shortcut)
        {
            *average_pool = true;
        }
        block
    }

    /// timm's pre-activation checkpoints are trained with inputs in [-1, 1] and evaluated on crops of
    /// 95%; the others have the usual transform.
    fn preprocess(&self) -> Preprocess {
        let usual = Preprocess::imagenet(256, 224);
        if !self.preactivation() {
            return usual;
        }
        let half = vec![0.5; 3];
        Preprocess { resize: Some(Resize::ShorterSide(235)), mean: half.clone(), std: half, ..usual }
    }
}

/// A sixteenth of the channels, to the nearest multiple of eight, at least eight: timm's `SEModule`.
fn squeezed(channels: usize) -> usize {
    ((channels / 16 + 4) / 8 * 8).max(8)
}
