//! A block made ready to run.

use super::shape::{BlockShape, Order, Policy, Shortcut, wrong};
use super::step::{Ahead, Step};
use crate::pool::Pooling;
use crate::simd::BLOCK;
use crate::{ConvShape, Cpu, KernelError, Layout};

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
/// # Ok::<(), residual_kernels::KernelError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Block {
    pub(super) order: Order,
    pub(super) shortcut: Shortcut,
    pub(super) squeeze: Option<usize>,
    pub(super) policy: Policy,
    pub(super) x: Layout,
    pub(super) y: Layout,
    pub(super) links: Vec<Step>,
    pub(super) projection: Option<Projection>,
    /// The convolutions of the branch in evaluation: each writes what the next one reads.
    pub(super) straight: Vec<Ahead>,
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
fn bordered(maps: Layout, kernel: usize) -> Result<Layout, KernelError> {
    maps.with_border(kernel / 2)
}

/// Blocked maps that `conv` reads.
fn read(conv: &ConvShape) -> Result<Layout, KernelError> {
    Layout::blocked(conv.batch, conv.in_channels, conv.size[0], conv.size[1])
}

impl Block {
    /// The block `shape` from maps that lie as `x` says to maps that lie as `y` says, blocked. A border of
    /// `x` as wide as the first convolution's padding saves a copy. Images may be planar where the block is a
    /// plain post-activation one: then they have no gradient.
    ///
    /// # Errors
    /// [`KernelError::Shape`] where branch and shortcut do not fit each other or the layouts.
    pub fn new(
        cpu: &Cpu,
        shape: &BlockShape,
        x: Layout,
        y: Layout,
        policy: Policy,
    ) -> Result<Self, KernelError> {
        let output = shape.output(&x)?;
        let (order, shortcut) = (shape.order, shape.shortcut);
        let images = (shortcut, order) == (Shortcut::None, Order::PostActivation) && x.block() == 1;
        if !output.same_maps(&y) || y.block() != BLOCK || (x.block() != BLOCK && !images) {
            return Err(wrong(format!("from {x:?} it gives {output:?}, not {y:?}")));
        }
        let links = Self::steps_of(cpu, shape, x, y)?;
        let projection = Self::projection_of(cpu, shape, [x, links[0].input, y])?;
        let projected = projection.iter().map(|projection| &projection.step);
        let normalised = match order {
            Order::PostActivation => links.iter().chain(projected).map(|step| step.output).collect(),
            Order::PreActivation => links.iter().map(|step| step.dx).collect(),
        };
        let outputs = links.iter().skip(1).map(|step| step.input).chain([y]);
        let straight = links
            .iter()
            .zip(outputs)
            .map(|(step, output)| Ahead::new(cpu, *step.ahead.conv.shape(), step.input, output))
            .collect::<Result<_, _>>()?;
        let squeeze = shape.squeeze;
        Ok(Self { straight, order, shortcut, squeeze, policy, x, y, links, projection, normalised })
    }

    /// The convolutions of the branch.
    fn steps_of(cpu: &Cpu, shape: &BlockShape, x: Layout, y: Layout) -> Result<Vec<Step>, KernelError> {
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
            Step::new(cpu, conv, [input, output, dy, if first { x } else { read(&conv)? }])
        };
        convs.iter().enumerate().map(step).collect()
    }

    /// The projection from `x`, in pre-activation from what the first convolution reads, `h`.
    fn projection_of(
        cpu: &Cpu,
        shape: &BlockShape,
        [x, h, y]: [Layout; 3],
    ) -> Result<Option<Projection>, KernelError> {
        let Some(conv) = shape.projection(&x)? else { return Ok(None) };
        let (pooling, output) = (shape.pooling(&x)?, shape.output(&x)?);
        let (from, dy) = if shape.order == Order::PreActivation { (h, y) } else { (x, output) };
        let input = if pooling.is_some() { read(&conv)? } else { from };
        let step = Step::new(cpu, conv, [input, output, dy, read(&conv)?])?;
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
