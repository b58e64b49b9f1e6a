//! A specification read off tensors: of a residual network that is no family member.
//!
//! Blocks are told by their tensors' names and shapes; what tensors do not say (strides, padding, pools) is that of the
//! published networks: stages behind the first begin with stride 2, a large or a deep stem halves the map and pools it.

use std::collections::BTreeSet;

use residual_arch::names::{block_prefix, file_names};
use residual_arch::{
    Attention, BlockKind, BlockPart, BlockPath, BlockSpec, Field, LayerPath, MaxPool, Naming, NetSpec,
    NormKind, Order, Shortcut, ShortcutPart, StageSpec, StemConv, StemPart, StemSpec,
};

use super::family::nearest;
use super::fit::{Fit, of_channels};
use super::place::{Place, SCHEMES, template};
use super::shapes::Shapes;

/// Groups of a group norm, which tensors do not tell (Wu and He 2018).
const GROUPS: usize = 32;

/// The most convolutions of a stem that is looked for.
const MAX_STEM: usize = 4;

/// The specification of the network at a place, with its fit, and the family member that it is like; `None` where the
/// tensors are no residual network's.
pub(super) fn read_off(place: &Place, shapes: &Shapes<'_>) -> Option<(Fit, String)> {
    let norms = [NormKind::Batch, NormKind::group(GROUPS)];
    let templates = [false, true].map(|order| norms.map(|norm| template(order, norm)));
    templates.as_flattened().iter().find_map(|template| {
        let namings = SCHEMES.into_iter().filter(|&naming| place.is_of(template, naming));
        namings.into_iter().find_map(|naming| {
            let reader = Reader { template, naming, place, shapes };
            let (spec, like) = reader.network()?;
            Some((Fit::of(&spec, place, shapes)?, like))
        })
    })
}

struct Reader<'a> {
    template: &'a NetSpec,
    naming: Naming,
    place: &'a Place,
    shapes: &'a Shapes<'a>,
}

impl Reader<'_> {
    /// The specification, and the family member whose preprocessing it has.
    fn network(&self) -> Option<(NetSpec, String)> {
        let (stem, input) = self.stem()?;
        let variants = self.variants();
        let mut channels = stem.channels();
        let mut stages = Vec::new();
        let mut last = 0;
        for (stage, depth) in
            self.place.depths(self.template, self.naming, self.shapes).into_iter().enumerate()
        {
            let mut blocks = Vec::with_capacity(depth);
            for block in 0..depth {
                let stride = if stage > 0 && block == 0 { 2 } else { 1 };
                let at = BlockPath { stage: stage + 1, block };
                let (found, block) = self.block(at, &variants, last, channels, stride)?;
                (last, channels) = (found, block.channels);
                blocks.push(block);
            }
            stages.push(StageSpec::new(blocks));
        }
        let depths = stages.iter().map(|stage| stage.blocks.len().to_string()).collect::<Vec<_>>().join("_");
        let kind = match stages.first()?.blocks.first()?.kind {
            BlockKind::Bottleneck => "bottleneck",
            _ => "basic",
        };
        let name = format!("{kind}_{depths}_w{}", stem.channels());
        let blank = NetSpec::new(name, [input, 1, 1], stem, stages, self.template.head);
        let like = nearest(&blank)?;
        let [channels, height, width] = like.input;
        let network = blank.with(|net| {
            (net.naming, net.input) = (self.naming, [channels, height, width]);
            net.preprocess = like.preprocess.clone();
        });
        Some((of_channels(&network, input), like.name))
    }

    fn shape(&self, name: &str) -> Option<&[usize]> {
        self.shapes.get(&self.place.in_file(name)?)
    }

    /// The stem with the most convolutions of which all tensors are there, and the input's channels.
    fn stem(&self) -> Option<(StemSpec, usize)> {
        (1..=MAX_STEM).rev().find_map(|count| {
            let blank = StemSpec::new(vec![StemConv::same(1, 3, 1); count]);
            let stem = blank.with(|stem| {
                (stem.bare, stem.norm) = (self.template.stem.bare, self.template.stem.norm);
            });
            let spec = self.template.clone().with(|net| net.stem = stem.clone());
            let (mut convs, mut input) = (Vec::new(), 0);
            for tensor in file_names(&spec, self.naming) {
                let LayerPath::Stem(part) = tensor.path.layer else { break };
                let shape = self.shape(&tensor.name)?;
                if let (StemPart::Conv(index), &[out, inputs, kernel, width]) = (part, shape) {
                    if kernel != width || kernel == 0 {
                        return None;
                    }
                    input = if index == 0 { inputs } else { input };
                    convs.push((out, kernel));
                }
            }
            (convs.len() == count).then(|| (stem_of(&convs, &stem), input))
        })
    }

    /// A block, by the first variant whose names are exactly those of the file; the one of the block before is tried
    /// first.
    fn block(
        &self,
        at: BlockPath,
        variants: &[Variant],
        last: usize,
        channels: usize,
        stride: usize,
    ) -> Option<(usize, BlockSpec)> {
        let prefix = self.place.in_file(&block_prefix(self.template, self.naming, at))?;
        let held: BTreeSet<&str> =
            self.shapes.under(&prefix).map(|(name, _)| &name[prefix.len()..]).collect();
        let order = [last].into_iter().chain((0..variants.len()).filter(|&index| index != last));
        order.into_iter().find_map(|index| {
            let variant = variants.get(index)?;
            let is_whole = variant.names.len() == held.len()
                && variant.names.iter().all(|(.., name)| held.contains(name.as_str()));
            let shape = |part, field| {
                let is_it = |&&(p, f, _): &&(BlockPart, Field, String)| (p, f) == (part, field);
                let (.., name) = variant.names.iter().find(is_it)?;
                self.shapes.get(&format!("{prefix}{name}"))
            };
            let block = is_whole.then(|| variant.sized(shape, channels, stride))??;
            Some((index, block))
        })
    }

    /// Every kind of block with the names of its tensors.
    fn variants(&self) -> Vec<Variant> {
        let usual = self.template.stages[0].blocks[0];
        let mut variants = Vec::new();
        for kind in [BlockKind::Basic, BlockKind::Bottleneck] {
            for attention in
                [None, Some(Attention::squeeze_excite(1)), Some(Attention::Efficient { kernel: 1 })]
            {
                for shortcut in [None, Some(false), Some(true)] {
                    let block = usual.with(|block| {
                        (block.kind, block.attention) = (kind, attention);
                        if let Some(average_pool) = shortcut {
                            block.shortcut =
                                Shortcut::Projection { channels: 1, stride: 1, average_pool, kernel: 1 };
                        }
                    });
                    variants.push(self.variant(block));
                }
            }
        }
        variants
    }

    fn variant(&self, block: BlockSpec) -> Variant {
        let spec = self.template.clone().with(|net| net.stages = vec![StageSpec::new(vec![block])]);
        let prefix = block_prefix(&spec, self.naming, BlockPath { stage: 1, block: 0 });
        let names = file_names(&spec, self.naming).filter_map(|tensor| {
            let LayerPath::Block(_, part) = tensor.path.layer else { return None };
            Some((part, tensor.path.field, tensor.name.strip_prefix(&prefix)?.to_owned()))
        });
        Variant { names: names.collect(), block }
    }
}

/// Stem of convolutions with these channels and kernels, strides as published.
fn stem_of(convs: &[(usize, usize)], kind: &StemSpec) -> StemSpec {
    // One 3x3 convolution is the stem for small images.
    let halves = convs.len() > 1 || convs[0].1 > 3;
    let conv = |(index, &(channels, kernel)): (usize, &(usize, usize))| {
        StemConv::same(channels, kernel, if halves && index == 0 { 2 } else { 1 })
    };
    let convs = convs.iter().enumerate().map(conv).collect();
    StemSpec::new(convs).with(|stem| {
        (stem.bare, stem.norm) = (kind.bare, kind.norm);
        stem.pool = halves.then_some(MaxPool::HALVING);
    })
}

/// Kind of a block, its numbers left open, and the names of its tensors.
struct Variant {
    names: Vec<(BlockPart, Field, String)>,
    block: BlockSpec,
}

impl Variant {
    /// The block with the numbers of the shapes. They are held against all tensors of the network afterwards.
    fn sized<'s>(
        &self,
        shape: impl Fn(BlockPart, Field) -> Option<&'s [usize]>,
        in_channels: usize,
        stride: usize,
    ) -> Option<BlockSpec> {
        let conv = |number| match shape(BlockPart::Conv(number), Field::Weight) {
            Some(&[out, inputs, _, _]) if inputs > 0 => Some((out, inputs)),
            _ => None,
        };
        // Groups are those of the first 3x3 convolution.
        let (width, channels, groups, first_width) = match self.block.kind {
            BlockKind::Bottleneck => {
                let ((first, _), (width, inputs), (channels, _)) = (conv(1)?, conv(2)?, conv(3)?);
                (width, channels, first / inputs, (first != width).then_some(first))
            }
            _ => {
                let ((width, inputs), (channels, _)) = (conv(1)?, conv(2)?);
                (width, channels, in_channels / inputs, None)
            }
        };
        let attention = match self.block.attention {
            Some(Attention::SqueezeExcite { .. }) => {
                let reduced = *shape(BlockPart::SqueezeExcite, Field::ReduceWeight)?.first()?;
                Some(Attention::SqueezeExcite { reduced })
            }
            Some(Attention::Efficient { .. }) => {
                let kernel = *shape(BlockPart::EfficientAttention, Field::Weight)?.last()?;
                Some(Attention::Efficient { kernel })
            }
            other => other,
        };
        let shortcut = match self.block.shortcut {
            Shortcut::Projection { average_pool, .. } => {
                let weight = shape(BlockPart::Shortcut(ShortcutPart::Conv), Field::Weight)?;
                let &[channels, _, kernel, _] = weight else { return None };
                Shortcut::Projection { channels, stride, average_pool, kernel }
            }
            // Without tensors: parameter-free, where the shape changes.
            _ if (in_channels, 1) == (channels, stride) => Shortcut::Identity,
            _ => Shortcut::ZeroPad { channels, stride },
        };
        let order: Order = self.block.order;
        Some(self.block.with(|block| {
            (block.width, block.channels, block.groups) = (width, channels, groups);
            block.first_width = first_width;
            (block.stride, block.order) = (stride, order);
            (block.attention, block.shortcut) = (attention, shortcut);
        }))
    }
}
