//! A block made ready to run.

use super::groups::Groups;
use super::shape::{BlockShape, Order, Policy, Shortcut, wrong};
use super::step::{Ahead, Step};
use crate::pool::Pooling;
use crate::simd::BLOCK;
use crate::{ConvShape, Cpu, Error, Layout};

/// A residual block with its layouts: see the [module](super).
///
/// ```
/// use residual_kernels::block::{
///     Block, BlockParameters, BlockShape, Input, LinkParameters, Order, Policy, Shortcut,
/// };
/// use residual_kernels::{Cpu, Layout, Scratch};
///
/// let cpu = Cpu::new(2)?;
/// let maps = Layout::blocked(4, 16, 8, 8)?.with_border(1)?;
/// let shape = BlockShape::basic(16, 1, Shortcut::Identity, Order::PostActivation);
/// let block = Block::new(&cpu, &shape, maps, maps, Policy::Keep)?;
///
/// let (weights, ones, zeros) = (vec![0.01; 9 * 16 * 16], vec![1.0; 16], vec![0.0; 16]);
/// let link = LinkParameters { weights: &weights, gamma: &ones, beta: &zeros };
/// let parameters = BlockParameters { links: &[link, link], projection: None, squeeze: None, eps: 1e-5 };
///
/// let (x, mut y) = (vec![0.0; maps.len()], vec![0.0; maps.len()]);
/// let input = Input { x: &x, parameters: &parameters, depth: None };
/// block.forward(&cpu, &input, &mut block.tape(), &mut y, &mut Scratch::default())?;
/// # Ok::<(), residual_kernels::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Block {
    pub(super) order: Order,
    pub(super) shortcut: Shortcut,
    pub(super) squeeze: Option<usize>,
    pub(super) policy: Policy,
    pub(super) x: Layout,
    pub(super) y: Layout,
    pub(super) groups: Groups,
    pub(super) x_of_group: Layout,
    pub(super) y_of_group: Layout,
    /// The convolutions of the branch on a group.
    pub(super) links: Vec<Step>,
    /// That of the shortcut on a group.
    pub(super) projection: Option<Projection>,
    /// The convolutions of the branch in evaluation, on the whole batch: each writes what the next one reads.
    pub(super) straight: Vec<Ahead>,
    /// That of the shortcut.
    pub(super) straight_projection: Option<Ahead>,
    /// Maps that are normalised, in the order of the branch, the projection's last.
    pub(super) normalised: Vec<Layout>,
}

/// The 1x1 convolution of a shortcut.
#[derive(Clone, Debug)]
pub(super) struct Projection {
    pub(super) step: Step,
    /// The pooling before it.
    pub(super) pooling: Option<Pooling>,
}

/// A border as wide as a 3x3 kernel needs, where the kernel is one.
fn bordered(maps: Layout, kernel: usize) -> Result<Layout, Error> {
    maps.with_border(kernel / 2)
}

/// Blocked maps that `conv` reads.
fn read(conv: &ConvShape) -> Result<Layout, Error> {
    Layout::blocked(conv.batch, conv.in_channels, conv.size[0], conv.size[1])
}

impl Block {
    /// The block `shape` from maps that lie as `x` says to maps that lie as `y` says, blocked. A border of
    /// `x` as wide as the first convolution's padding saves a copy. Images may be planar where the block is a
    /// plain post-activation one: then they have no gradient.
    ///
    /// # Errors
    /// [`Error::Shape`] where branch and shortcut do not fit each other or the layouts.
    pub fn new(cpu: &Cpu, shape: &BlockShape, x: Layout, y: Layout, policy: Policy) -> Result<Self, Error> {
        let images = Groups::new(cpu, shape, &x)?.images;
        Self::with_images_at_once(cpu, shape, [x, y], policy, images)
    }

    /// The same with so many images at a time between two normalisations: they divide the batch. The results
    /// are equal to rounding.
    ///
    /// # Errors
    /// As for [`Block::new`], and [`Error::Shape`] where the images do not divide the batch.
    pub fn with_images_at_once(
        cpu: &Cpu,
        shape: &BlockShape,
        [x, y]: [Layout; 2],
        policy: Policy,
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
        let links = Self::steps_of(cpu, (shape, x.batch()), x_of_group, y_of_group)?;
        let maps = [x_of_group, links[0].input, y_of_group];
        let projection = Self::projection_of(cpu, (shape, x.batch()), maps)?;
        let projected = projection.iter().map(|projection| &projection.step);
        let normalised: Vec<_> = match order {
            Order::PostActivation => links.iter().chain(projected).map(|step| step.output).collect(),
            Order::PreActivation => links.iter().map(|step| step.dx).collect(),
        };
        let whole = |maps: Layout| maps.with_batch(x.batch());
        let outputs = links.iter().skip(1).map(|step| step.input).chain([y_of_group]);
        let straight = links
            .iter()
            .zip(outputs)
            .map(|(step, output)| step.ahead.for_maps(cpu, whole(step.input)?, whole(output)?))
            .collect::<Result<_, Error>>()?;
        let straight_projection = projection
            .as_ref()
            .map(|Projection { step, .. }| step.ahead.for_maps(cpu, whole(step.input)?, whole(step.output)?));
        Ok(Self {
            order,
            shortcut,
            squeeze: shape.squeeze,
            policy,
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

    /// How the maps of all images lie where those of a group lie as `maps` says.
    pub(super) fn whole(&self, maps: Layout) -> Result<Layout, Error> {
        maps.with_batch(self.x.batch())
    }

    /// The convolutions of the branch.
    fn steps_of(
        cpu: &Cpu,
        (shape, batch): (&BlockShape, usize),
        x: Layout,
        y: Layout,
    ) -> Result<Vec<Step>, Error> {
        let convs = shape.branch(&x)?;
        let pre = shape.order == Order::PreActivation;
        let step = |(index, &conv): (usize, &ConvShape)| {
            let (last, kernel) = (index + 1 == convs.len(), conv.kernel[0]);
            let [h, w] = conv.output()?;
            let written = Layout::blocked(conv.batch, conv.out_channels, h, w)?;
            let first = index == 0 && !pre;
            let input = if first { x } else { bordered(read(&conv)?, kernel)? };
            let output = if last && pre && shape.squeeze.is_none() { y } else { written };
            let dy = if last && pre { y } else { bordered(written, kernel)? };
            Step::new(cpu, (conv, batch), [input, output, dy, if first { x } else { read(&conv)? }])
        };
        convs.iter().enumerate().map(step).collect()
    }

    /// The projection from `x`, in pre-activation from what the first convolution reads, `h`.
    fn projection_of(
        cpu: &Cpu,
        (shape, batch): (&BlockShape, usize),
        [x, h, y]: [Layout; 3],
    ) -> Result<Option<Projection>, Error> {
        let Some(conv) = shape.projection(&x)? else { return Ok(None) };
        let (pooling, output) = (shape.pooling(&x)?, shape.output(&x)?);
        let (from, dy) = if shape.order == Order::PreActivation { (h, y) } else { (x, output) };
        let input = if pooling.is_some() { read(&conv)? } else { from };
        let step = Step::new(cpu, (conv, batch), [input, output, dy, read(&conv)?])?;
        Ok(Some(Projection { step, pooling }))
    }

    /// How the input lies.
    pub fn x(&self) -> &Layout {
        &self.x
    }

    /// How the output lies.
    pub fn y(&self) -> &Layout {
        &self.y
    }

    /// The convolutions, the projection last.
    pub(super) fn steps(&self) -> impl Iterator<Item = &Step> {
        self.links.iter().chain(self.projection.iter().map(|projection| &projection.step))
    }

    /// The last convolution of the branch.
    pub(super) fn last(&self) -> &Step {
        &self.links[self.links.len() - 1]
    }

    /// Which normalisation goes before convolution `index` of the branch; none before a post-activation
    /// block's first.
    pub(super) fn norm_before(&self, index: usize) -> Option<usize> {
        match self.order {
            Order::PostActivation => index.checked_sub(1),
            Order::PreActivation => Some(index),
        }
    }
}
