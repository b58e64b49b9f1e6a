//! ImageNet's depths behind a 3x3 stem, for 32x32 images: the networks of the CIFAR code that is copied most
//! (kuangliu's `pytorch-cifar`), with its tensor names.

use crate::{
    Attention, BlockSpec, HeadSpec, Naming, NetSpec, Preprocess, Shortcut, StageSpec, StemSpec, Task,
};

/// A network as a row of the table.
struct Row {
    name: &'static str,
    blocks: [usize; 4],
    bottleneck: bool,
    order: Order,
}

/// Order of a block's layers, and what stands before the first and behind the last block.
#[derive(Clone, Copy, PartialEq)]
enum Order {
    /// Post-activation.
    Post,
    /// Pre-activation, the stem bare and nothing before the average: `PreActResNet`.
    Pre,
    /// Pre-activation with squeeze-and-excitation of a sixteenth, BN and ReLU in the stem: `SENet`.
    Squeezed,
}

const fn row(name: &'static str, blocks: [usize; 4], bottleneck: bool, order: Order) -> Row {
    Row { name, blocks, bottleneck, order }
}

const D18: [usize; 4] = [2, 2, 2, 2];
const D34: [usize; 4] = [3, 4, 6, 3];
const D101: [usize; 4] = [3, 4, 23, 3];
const D152: [usize; 4] = [3, 8, 36, 3];

const ROWS: [Row; 11] = [
    row("cifar_stem_resnet18", D18, false, Order::Post),
    row("cifar_stem_resnet34", D34, false, Order::Post),
    row("cifar_stem_resnet50", D34, true, Order::Post),
    row("cifar_stem_resnet101", D101, true, Order::Post),
    row("cifar_stem_resnet152", D152, true, Order::Post),
    row("cifar_stem_preact18", D18, false, Order::Pre),
    row("cifar_stem_preact34", D34, false, Order::Pre),
    row("cifar_stem_preact50", D34, true, Order::Pre),
    row("cifar_stem_preact101", D101, true, Order::Pre),
    row("cifar_stem_preact152", D152, true, Order::Pre),
    row("cifar_stem_senet18", D18, false, Order::Squeezed),
];

/// The names of the table, in its order.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    ROWS.iter().map(|row| row.name)
}

/// The network called `name`, if it is one of these: `resnet18_cifar` is an alias of `cifar_stem_resnet18`.
pub(super) fn network(name: &str) -> Option<NetSpec> {
    let rest = name.strip_prefix("cifar_stem_").or_else(|| name.strip_suffix("_cifar"))?;
    ROWS.iter().find(|row| row.name.strip_prefix("cifar_stem_") == Some(rest)).map(Row::build)
}

impl Row {
    fn build(&self) -> NetSpec {
        let mut channels = 64;
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
            naming: Naming::Cifar,
            input: [3, 32, 32],
            stem: StemSpec { bare: self.order == Order::Pre, ..StemSpec::cifar(64) },
            stages,
            head: HeadSpec::new(10),
            stochastic_depth: 0.0,
            preprocess: Preprocess::normalise_only(),
            task: Task::SingleLabel,
        }
    }

    fn block(&self, in_channels: usize, planes: usize, stride: usize) -> BlockSpec {
        let block = if self.bottleneck {
            BlockSpec::bottleneck(in_channels, planes, planes * 4, stride)
        } else {
            let shortcut = Shortcut::fitting(in_channels, planes, stride);
            BlockSpec { stride, shortcut, ..BlockSpec::basic(planes) }
        };
        match self.order {
            Order::Post => block,
            Order::Pre => block.preactivation(),
            Order::Squeezed => {
                let attention = Some(Attention::squeeze_excite(block.channels / 16));
                BlockSpec { attention, ..block.preactivation() }
            }
        }
    }
}
