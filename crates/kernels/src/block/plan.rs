//! Plan of a block: the layouts, groups and convolutions that it runs with.

use super::conv_layer::{ConvLayer, ConvLayouts, ForwardConv, GroupConv};
use super::groups::Groups;
use super::projection::Projection;
use super::shape::{BlockShape, Memory, Order, Shortcut, wrong};
use crate::simd::BLOCK;
use crate::{ConvShape, Cpu, Error, Layout};

/// A residual block with its layouts: see the [module](super).
///
/// ```
/// use residual_kernels::block::{
///     Block, BlockParameters, BlockShape, Input, LinkParameters, Order, Memory, Resources, Shortcut,
/// };
/// use residual_kernels::{Cpu, Layout, Scratch};
///
/// let cpu = Cpu::new(2)?;
/// let maps = Layout::blocked(4, 16, 8, 8)?.with_border(1)?;
/// let shape = BlockShape::basic(16, 1, Shortcut::Identity, Order::PostActivation);
/// let block = Block::new(&cpu, &shape, maps, maps, Memory::Keep)?;
///
/// let (weights, ones, zeros) = (vec![0.01; 9 * 16 * 16], vec![1.0; 16], vec![0.0; 16]);
/// let link = LinkParameters { weights: &weights, gamma: &ones, beta: &zeros };
/// let parameters = BlockParameters { links: &[link, link], projection: None, squeeze: None, eps: 1e-5 };
///
/// let (x, mut y) = (vec![0.0; maps.len()], vec![0.0; maps.len()]);
/// let input = Input { x: &x, parameters: &parameters, depth: None };
/// let mut on = Resources { cpu: &cpu, scratch: &mut Scratch::default() };
/// block.forward(&mut on, &input, &mut block.tape(), &mut y)?;
/// # Ok::<(), residual_kernels::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Block {
    pub(super) order: Order,
    pub(super) shortcut: Shortcut,
    pub(super) squeeze: Option<usize>,
    pub(super) memory: Memory,
    pub(super) x: Layout,
    pub(super) y: Layout,
    pub(super) groups: Groups,
    pub(super) x_of_group: Layout,
    pub(super) y_of_group: Layout,
    /// The convolutions of the branch on a group.
    pub(super) links: Vec<ConvLayer>,
    /// Projection of the shortcut on a group.
    pub(super) projection: Option<Projection>,
    /// The convolutions of the branch in evaluation, on the whole batch: each writes what the next one reads.
    pub(super) straight: Vec<ForwardConv>,
    /// Projection of the shortcut in evaluation.
    pub(super) straight_projection: Option<ForwardConv>,
    /// Maps that are normalised, in the order of the branch, the projection's last.
    pub(super) normalised: Vec<Layout>,
}

/// A border as wide as a 3x3 kernel needs, where the kernel is one.
fn bordered(maps: Layout, kernel: usize) -> Result<Layout, Error> {
    maps.with_border(kernel / 2)
}

/// Blocked maps that `conv` reads.
fn read(conv: &ConvShape) -> Result<Layout, Error> {
    Layout::blocked(conv.batch, conv.in_channels, conv.size[0], conv.size[1])
}

/// A block on the images of a group, of a batch of `batch`.
#[derive(Clone, Copy)]
struct GroupShape<'a> {
    shape: &'a BlockShape,
    batch: usize,
}

impl GroupShape<'_> {
    fn layer(&self, cpu: &Cpu, shape: ConvShape, layouts: ConvLayouts) -> Result<ConvLayer, Error> {
        ConvLayer::new(cpu, GroupConv { shape, batch: self.batch }, layouts)
    }

    /// The convolutions of the branch.
    fn branch(&self, cpu: &Cpu, x: Layout, y: Layout) -> Result<Vec<ConvLayer>, Error> {
        let shape = self.shape;
        let convs = shape.branch(&x)?;
        let pre = shape.order == Order::PreActivation;
        let layer = |(index, &conv): (usize, &ConvShape)| {
            let (last, kernel) = (index + 1 == convs.len(), conv.kernel[0]);
            let [h, w] = conv.output()?;
            let written = Layout::blocked(conv.batch, conv.out_channels, h, w)?;
            let first = index == 0 && !pre;
            let layouts = ConvLayouts {
                input: if first { x } else { bordered(read(&conv)?, kernel)? },
                output: if last && pre && shape.squeeze.is_none() { y } else { written },
                dy: if last && pre { y } else { bordered(written, kernel)? },
                dx: if first { x } else { read(&conv)? },
            };
            self.layer(cpu, conv, layouts)
        };
        convs.iter().enumerate().map(layer).collect()
    }

    /// The projection from `x`, in pre-activation from what the first convolution reads, `h`.
    fn projection(&self, cpu: &Cpu, [x, h, y]: [Layout; 3]) -> Result<Option<Projection>, Error> {
        let shape = self.shape;
        let Some(conv) = shape.projection(&x)? else { return Ok(None) };
        let (pooling, output) = (shape.pooling(&x)?, shape.output(&x)?);
        let (from, dy) = if shape.order == Order::PreActivation { (h, y) } else { (x, output) };
        let input = if pooling.is_some() { read(&conv)? } else { from };
        let layer = self.layer(cpu, conv, ConvLayouts { input, output, dy, dx: read(&conv)? })?;
        Ok(Some(Projection { layer, pooling }))
    }
}

impl Block {
    /// The block `shape` from maps of layout `x` to maps of layout `y`, blocked. A border of
    /// `x` as wide as the first convolution's padding saves a copy. Images may be planar where the block is a
    /// plain post-activation one: then they have no gradient.
    ///
    /// # Errors
    /// [`Error::Shape`] where branch and shortcut do not fit each other or the layouts.
    pub fn new(cpu: &Cpu, shape: &BlockShape, x: Layout, y: Layout, memory: Memory) -> Result<Self, Error> {
        let images = Groups::new(cpu, shape, &x)?.images;
        Self::with_images_at_once(cpu, shape, [x, y], memory, images)
    }

    /// Block that takes `images` images at a time between two normalisations: they divide the batch. The results
    /// are equal to rounding.
    ///
    /// # Errors
    /// Those of [`Block::new`]; [`Error::Shape`] where the images do not divide the batch.
    pub fn with_images_at_once(
        cpu: &Cpu,
        shape: &BlockShape,
        [x, y]: [Layout; 2],
        memory: Memory,
        images: usize,
    ) -> Result<Self, Error> {
        let output = shape.output(&x)?;
        let (order, shortcut) = (shape.order, shape.shortcut);
        let is_images = (shortcut, order) == (Shortcut::None, Order::PostActivation) && x.block() == 1;
        if !output.same_maps(&y) || y.block() != BLOCK || (x.block() != BLOCK && !is_images) {
            return Err(wrong(format!("from {x:?} it gives {output:?}, not {y:?}")));
        }
        let groups = Groups::of_images(images, x.batch())?;
        let [x_of_group, y_of_group] = [x.with_batch(groups.images)?, y.with_batch(groups.images)?];
        let links = GroupShape { shape, batch: x.batch() }.branch(cpu, x_of_group, y_of_group)?;
        let maps = [x_of_group, links[0].layouts.input, y_of_group];
        let projection = GroupShape { shape, batch: x.batch() }.projection(cpu, maps)?;
        let projected = projection.iter().map(|projection| &projection.layer);
        let normalised: Vec<_> = match order {
            Order::PostActivation => {
                links.iter().chain(projected).map(|layer| layer.layouts.output).collect()
            }
            Order::PreActivation => links.iter().map(|layer| layer.layouts.dx).collect(),
        };
        let whole = |maps: Layout| maps.with_batch(x.batch());
        let outputs = links.iter().skip(1).map(|layer| layer.layouts.input).chain([y_of_group]);
        let straight = links
            .iter()
            .zip(outputs)
            .map(|(layer, output)| layer.forward.for_maps(cpu, whole(layer.layouts.input)?, whole(output)?))
            .collect::<Result<_, Error>>()?;
        let straight_projection = projection.as_ref().map(|Projection { layer, .. }| {
            layer.forward.for_maps(cpu, whole(layer.layouts.input)?, whole(layer.layouts.output)?)
        });
        Ok(Self {
            order,
            shortcut,
            squeeze: shape.squeeze,
            memory,
            x,
            y,
            groups,
            x_of_group,
            y_of_group,
            straight,
            straight_projection: straight_projection.transpose()?,
            normalised: normalised.into_iter().map(whole).collect::<Result<_, _>>()?,
            links,
            projection,
        })
    }

    /// Layout of the maps of all images, from that of a group's.
    pub(super) fn whole(&self, maps: Layout) -> Result<Layout, Error> {
        maps.with_batch(self.x.batch())
    }

    /// Layout of the input.
    pub fn x(&self) -> &Layout {
        &self.x
    }

    /// Layout of the output.
    pub fn y(&self) -> &Layout {
        &self.y
    }

    /// The convolutions, the projection last.
    pub(super) fn convs(&self) -> impl Iterator<Item = &ConvLayer> {
        self.links.iter().chain(self.projection.iter().map(|projection| &projection.layer))
    }

    /// The last convolution of the branch.
    pub(super) fn last(&self) -> &ConvLayer {
        &self.links[self.links.len() - 1]
    }

    /// The normalisation before convolution `index` of the branch; none before a post-activation block's first.
    pub(super) fn norm_before(&self, index: usize) -> Option<usize> {
        match self.order {
            Order::PostActivation => index.checked_sub(1),
            Order::PreActivation => Some(index),
        }
    }

    /// The normalisation behind convolution `index` of the branch; none behind a pre-activation block's last.
    pub(super) fn norm_after(&self, index: usize) -> Option<usize> {
        match self.order {
            Order::PostActivation => Some(index),
            Order::PreActivation => Some(index + 1).filter(|&after| after < self.links.len()),
        }
    }

    /// Presence of the output of convolution `index` on the tape: true of all but that of the block itself.
    pub(super) fn writes(&self, index: usize) -> bool {
        index + 1 < self.links.len() || self.order == Order::PostActivation || self.squeeze.is_some()
    }
}
