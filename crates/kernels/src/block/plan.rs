//! A block made ready to run, and what it runs on.

use super::shape::{BlockShape, Order, Policy, Shortcut, wrong};
use crate::layout::check_length;
use crate::norm::{Backward, BatchStatistics};
use crate::simd::BLOCK;
use crate::{
    Buffer, Conv, ConvBackwardData, ConvBackwardWeights, ConvShape, ConvWeights, Cpu, DataWeights,
    KernelError, Layout,
};

/// A convolution of the block in all three passes, and how its maps lie.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) conv: Conv,
    pub(super) data: ConvBackwardData,
    pub(super) weights: ConvBackwardWeights,
    /// What it reads.
    pub(super) input: Layout,
    /// What it writes: on the tape, or the block's output.
    pub(super) output: Layout,
    /// The gradient by what it writes.
    pub(super) dy: Layout,
    /// The gradient by what it reads.
    pub(super) dx: Layout,
}

impl Step {
    fn new(cpu: &Cpu, shape: ConvShape, maps: [Layout; 4]) -> Result<Self, KernelError> {
        let [input, output, dy, dx] = maps;
        Ok(Self {
            conv: Conv::new(cpu, shape, input, output)?,
            data: ConvBackwardData::new(cpu, shape, dy, dx)?,
            weights: ConvBackwardWeights::new(cpu, shape, input, dy)?,
            input,
            output,
            dy,
            dx,
        })
    }

    fn workspace(&self, cpu: &Cpu) -> usize {
        self.conv.workspace(cpu).max(self.data.workspace(cpu)).max(self.weights.workspace(cpu))
    }
}

/// A residual block with its layouts: see the [module](super).
///
/// ```
/// use residual_kernels::block::{
///     Block, BlockParameters, BlockShape, LinkParameters, Order, Policy, Shortcut,
/// };
/// use residual_kernels::{Cpu, Layout};
///
/// let cpu = Cpu::new(2)?;
/// let maps = Layout::blocked(4, 16, 8, 8)?.with_border(1)?;
/// let shape = BlockShape::basic(16, 1, Shortcut::Identity, Order::PostActivation);
/// let block = Block::new(&cpu, &shape, maps, maps, Policy::Keep)?;
///
/// let (weights, ones, zeros) = (vec![0.01; 9 * 16 * 16], vec![1.0; 16], vec![0.0; 16]);
/// let link = LinkParameters { weights: &weights, gamma: &ones, beta: &zeros };
/// let parameters = BlockParameters { links: &[link, link], projection: None, eps: 1e-5 };
/// let packed = block.pack(&parameters)?;
/// let (mut tape, mut workspace) = (block.tape(), vec![0.0; block.workspace(&cpu)]);
///
/// let (x, mut y) = (vec![0.0; maps.len()], vec![0.0; maps.len()]);
/// block.forward(&cpu, &x, &parameters, &packed, &mut tape, &mut y, &mut workspace)?;
/// # Ok::<(), residual_kernels::KernelError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Block {
    pub(super) order: Order,
    pub(super) shortcut: Shortcut,
    pub(super) policy: Policy,
    pub(super) x: Layout,
    pub(super) y: Layout,
    pub(super) links: Vec<Step>,
    pub(super) projection: Option<Step>,
    /// Maps that are normalised, in the order of the branch, the projection's last.
    normalised: Vec<Layout>,
}

/// The parameters of a convolution and of the normalisation that goes with it: after the convolution in
/// post-activation, before it in pre-activation.
#[derive(Clone, Copy, Debug)]
pub struct LinkParameters<'a> {
    /// `[out_channels][in_channels / groups][rows][columns]`
    pub weights: &'a [f32],
    /// The factor of each normalised channel; empty where there is no normalisation.
    pub gamma: &'a [f32],
    /// The summand of each normalised channel; empty where there is no normalisation.
    pub beta: &'a [f32],
}

/// The parameters of a block.
#[derive(Clone, Copy, Debug)]
pub struct BlockParameters<'a> {
    /// Those of the branch, from the input on.
    pub links: &'a [LinkParameters<'a>],
    /// Those of the projection, where there is one; it has no normalisation in pre-activation.
    pub projection: Option<LinkParameters<'a>>,
    /// What normalisations add to the variance.
    pub eps: f32,
}

/// A block's weights, packed for both passes.
#[derive(Clone, Debug)]
pub struct PackedBlock(pub(super) Vec<(ConvWeights, DataWeights)>);

/// What the forward pass leaves for the backward pass.
#[derive(Clone, Debug)]
pub struct Tape {
    /// Of the branch: what each convolution reads (but for the block's input) and writes (but for the
    /// block's output).
    pub(super) read: Vec<Buffer>,
    pub(super) written: Vec<Buffer>,
    /// The projection's output.
    pub(super) projected: Buffer,
    /// Of each normalisation, in the order of the branch, the projection's last.
    pub(super) norms: Vec<Norm>,
}

/// A normalisation on the tape.
#[derive(Clone, Debug)]
pub(super) struct Norm {
    pub(super) statistics: BatchStatistics,
    pub(super) scale: Vec<f32>,
    pub(super) shift: Vec<f32>,
    pub(super) sum: Vec<f32>,
    pub(super) squares: Vec<f32>,
}

impl Norm {
    fn zeroed(maps: &Layout) -> Self {
        let zeros = || vec![0.0; maps.channels()];
        let statistics = BatchStatistics::zeroed(maps);
        Self { statistics, scale: zeros(), shift: zeros(), sum: zeros(), squares: zeros() }
    }
}

impl Tape {
    /// The batch statistics of every normalisation, the projection's last: what the running values are
    /// updated by, once after each forward pass.
    pub fn statistics(&self) -> impl Iterator<Item = &BatchStatistics> {
        self.norms.iter().map(|norm| &norm.statistics)
    }

    /// Floats of maps that it holds.
    pub fn floats(&self) -> usize {
        let all = self.read.iter().chain(&self.written).chain([&self.projected]);
        all.map(|buffer| buffer.len()).sum()
    }
}

/// A border as wide as a 3x3 kernel needs, where the kernel is one.
fn bordered(maps: Layout, kernel: usize) -> Result<Layout, KernelError> {
    maps.with_border(kernel / 2)
}

impl Block {
    /// The block `shape` from maps that lie as `x` says to maps that lie as `y` says, blocked. A border of
    /// `x` as wide as the first convolution's padding saves a copy.
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
        if !output.same_maps(&y) || [&x, &y].iter().any(|layout| layout.block() != BLOCK) {
            return Err(wrong(format!("from {x:?} it gives {output:?}, not {y:?}")));
        }
        let convs = shape.branch(&x)?;
        let pre = shape.order == Order::PreActivation;
        let mut links = Vec::new();
        for (index, &conv) in convs.iter().enumerate() {
            let (last, kernel) = (index + 1 == convs.len(), conv.kernel[0]);
            let [h, w] = conv.output()?;
            let read = Layout::blocked(conv.batch, conv.in_channels, conv.size[0], conv.size[1])?;
            let written = Layout::blocked(conv.batch, conv.out_channels, h, w)?;
            let input = if index == 0 && !pre { x } else { bordered(read, kernel)? };
            let (output, dy) = if last && pre { (y, y) } else { (written, bordered(written, kernel)?) };
            let dx = if index == 0 && !pre { x } else { read };
            links.push(Step::new(cpu, conv, [input, output, dy, dx])?);
        }
        let project = |conv: ConvShape| {
            let read = Layout::blocked(conv.batch, conv.in_channels, conv.size[0], conv.size[1])?;
            let maps = if pre { [links[0].input, output, y, read] } else { [x, output, output, read] };
            Step::new(cpu, conv, maps)
        };
        let projection = shape.projection(&x).map(project).transpose()?;
        let (order, shortcut) = (shape.order, shape.shortcut);
        let normalised = match order {
            Order::PostActivation => links.iter().chain(&projection).map(|step| step.output).collect(),
            Order::PreActivation => links.iter().map(|step| step.dx).collect(),
        };
        Ok(Self { order, shortcut, policy, x, y, links, projection, normalised })
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
        self.links.iter().chain(&self.projection)
    }

    /// A tape for this block.
    pub fn tape(&self) -> Tape {
        let pre = self.order == Order::PreActivation;
        let last = self.links.len() - 1;
        let zeroed = |keep: bool, maps: &Layout| Buffer::zeroed(if keep { maps.len() } else { 0 });
        Tape {
            read: self.links.iter().enumerate().map(|(i, step)| zeroed(pre || i > 0, &step.input)).collect(),
            written: self
                .links
                .iter()
                .enumerate()
                .map(|(i, step)| zeroed(!pre || i < last, &step.output))
                .collect(),
            projected: Buffer::zeroed(self.projected()),
            norms: self.normalised.iter().map(Norm::zeroed).collect(),
        }
    }

    /// Floats of what a projection gives, before its normalisation.
    fn projected(&self) -> usize {
        self.projection.as_ref().map_or(0, |step| step.output.len())
    }

    /// The channels of zeros before the input's in a zero-padded shortcut, and its stride.
    pub(super) fn zero_pad(&self) -> Option<(usize, usize)> {
        let Shortcut::ZeroPad { stride } = self.shortcut else { return None };
        Some((stride, (self.y.channels() - self.x.channels()) / 2))
    }

    /// Packs the weights of `parameters`.
    ///
    /// # Errors
    /// [`KernelError::Length`] or [`KernelError::Shape`] where they are not this block's.
    pub fn pack(&self, parameters: &BlockParameters<'_>) -> Result<PackedBlock, KernelError> {
        self.check_parameters(parameters)?;
        let pack = |(step, link): (&Step, &LinkParameters<'_>)| {
            Ok((step.conv.pack(link.weights)?, step.data.pack(link.weights)?))
        };
        let all = self.steps().zip(parameters.links.iter().chain(&parameters.projection));
        all.map(pack).collect::<Result<_, _>>().map(PackedBlock)
    }

    /// Packs the weights of `parameters` again, on the threads of `cpu` and without allocating: once every
    /// training step.
    ///
    /// # Errors
    /// As for [`Block::pack`].
    pub fn pack_into(
        &self,
        cpu: &Cpu,
        parameters: &BlockParameters<'_>,
        packed: &mut PackedBlock,
    ) -> Result<(), KernelError> {
        self.pack_forward(cpu, parameters, packed)?;
        self.pack_backward(cpu, parameters, packed)
    }

    /// Packs what the forward pass alone reads, as [`Block::pack_into`] packs all.
    ///
    /// # Errors
    /// As for [`Block::pack`].
    pub fn pack_forward(
        &self,
        cpu: &Cpu,
        parameters: &BlockParameters<'_>,
        packed: &mut PackedBlock,
    ) -> Result<(), KernelError> {
        self.check_parameters(parameters)?;
        let links = parameters.links.iter().chain(&parameters.projection);
        let mut all = self.steps().zip(links).zip(&mut packed.0);
        all.try_for_each(|((step, link), (forward, _))| step.conv.pack_into(cpu, link.weights, forward))
    }

    /// Packs what the backward pass alone reads.
    ///
    /// # Errors
    /// As for [`Block::pack`].
    pub fn pack_backward(
        &self,
        cpu: &Cpu,
        parameters: &BlockParameters<'_>,
        packed: &mut PackedBlock,
    ) -> Result<(), KernelError> {
        self.check_parameters(parameters)?;
        let links = parameters.links.iter().chain(&parameters.projection);
        let mut all = self.steps().zip(links).zip(&mut packed.0);
        all.try_for_each(|((step, link), (_, data))| step.data.pack_into(cpu, link.weights, data))
    }

    /// Floats of workspace that both passes need on `cpu`.
    pub fn workspace(&self, cpu: &Cpu) -> usize {
        let convs = self.steps().map(|step| step.workspace(cpu)).max().unwrap_or(0);
        let norms = self.normalised.iter().map(Backward::workspace).max().unwrap_or(0);
        let vectors = self.y.vectors().max(self.x.vectors());
        convs.max(norms).max(vectors) + self.gradients().iter().sum::<usize>()
    }

    /// Floats of the gradients that are under way: by what a convolution writes and by what it reads, by
    /// the shortcut's side of the addition, by the projection's output and its input.
    pub(super) fn gradients(&self) -> [usize; 5] {
        let most = |of: fn(&Step) -> usize| self.links.iter().map(of).max().unwrap_or(0);
        let behind = match self.order {
            Order::PostActivation => self.links[self.links.len() - 1].dy.len(),
            Order::PreActivation => self.x.len(),
        };
        let projection = match (&self.projection, self.shortcut) {
            (Some(step), _) => [step.dy.len(), step.dx.len()],
            (None, Shortcut::ZeroPad { .. }) => [0, self.links[0].dx.len()],
            (None, _) => [0, 0],
        };
        [most(|step| step.dy.len()), most(|step| step.dx.len()), behind, projection[0], projection[1]]
    }

    /// Checks the parameters against the block.
    pub(super) fn check_parameters(&self, parameters: &BlockParameters<'_>) -> Result<(), KernelError> {
        if parameters.links.len() != self.links.len()
            || parameters.projection.is_some() != self.projection.is_some()
        {
            let (links, projection) = (parameters.links.len(), parameters.projection.is_some());
            return Err(wrong(format!(
                "{} convolutions and a projection: {}, parameters for {links}, and: {projection}",
                self.links.len(),
                self.projection.is_some()
            )));
        }
        let links = parameters.links.iter().chain(&parameters.projection);
        for (index, (step, link)) in self.steps().zip(links).enumerate() {
            check_length("a convolution's weights", step.conv.shape().weights(), link.weights.len())?;
            let channels = self.normalised.get(index).map_or(0, Layout::channels);
            check_length("a normalisation's scale", channels, link.gamma.len())?;
            check_length("a normalisation's shift", channels, link.beta.len())?;
        }
        Ok(())
    }

    /// Checks that `tape` and `packed` were made for a block like this.
    pub(super) fn check_memory(&self, tape: &Tape, packed: &PackedBlock) -> Result<(), KernelError> {
        let fits = |buffers: &[Buffer], maps: &dyn Fn(&Step) -> usize| {
            buffers.len() == self.links.len()
                && buffers
                    .iter()
                    .zip(&self.links)
                    .all(|(buffer, step)| [0, maps(step)].contains(&buffer.len()))
        };
        let pre = self.order == Order::PreActivation;
        let same = fits(&tape.read, &|step| step.input.len())
            && fits(&tape.written, &|step| step.output.len())
            && tape.read[0].is_empty() != pre
            && tape
                .norms
                .iter()
                .map(|norm| norm.scale.len())
                .eq(self.normalised.iter().map(Layout::channels))
            && tape.norms.iter().map(|norm| norm.statistics.count).eq(self.normalised.iter().map(count))
            && tape.projected.len() == self.projected()
            && packed.0.len() == self.steps().count();
        if same { Ok(()) } else { Err(wrong("the tape or the packed weights are another block's".into())) }
    }
}

/// Images times pixels.
fn count(maps: &Layout) -> usize {
    maps.batch() * maps.height() * maps.width()
}
