//! The gradient of a convolution by its weights.

use std::ops::Range;

use super::direct::DirectGradient;
use crate::conv::kernel::inputs_of;
use crate::conv::select::{Choice, Pass, select, winograd_applies};
use crate::conv::winograd::WinogradGradient;
use crate::conv::{Algorithm, ConvShape};
use crate::layout::check_length;
use crate::memory::Parts;
use crate::simd::BLOCK;
use crate::{Cpu, Isa, KernelError, Layout};

/// Tasks to aim for, so that several threads have equal shares. Not a multiple of the threads: what is
/// computed must not depend on them.
const TASKS: usize = 16;

/// `dw[o, i, u] = sum over n, p of dy[n, o, p] x[n, i, p s - padding + u d]`, with its layouts and its
/// algorithm.
///
/// For a 3x3 kernel at stride 1 the sum can be taken at Winograd's points, `dw = G^T (sum over tiles of
/// (A dy A^T) * (B^T x B)) G` with `*` element by element (Lavin and Gray 2016, section 4.1, with the
/// roles of weights and outputs exchanged): 36 multiplications for 144. Everything else is a matrix
/// product over pixels.
///
/// ```
/// use residual_kernels::{ConvBackwardWeights, ConvShape, Cpu, Layout};
///
/// let cpu = Cpu::new(2)?;
/// let shape = ConvShape::square(1, (16, 32), 8, 3, 1);
/// let x = Layout::blocked(1, 16, 8, 8)?.with_border(1)?;
/// let dy = Layout::blocked(1, 32, 8, 8)?;
/// let backward = ConvBackwardWeights::new(&cpu, shape, x, dy)?;
/// let mut workspace = vec![0.0; backward.workspace(&cpu)];
/// let mut dw = vec![0.0; shape.weights()];
/// backward.run(&cpu, &vec![0.0; x.len()], &vec![1.0; dy.len()], &mut dw, &mut workspace)?;
/// # Ok::<(), residual_kernels::KernelError>(())
/// ```
#[derive(Clone, Debug)]
pub struct ConvBackwardWeights {
    shape: ConvShape,
    x: Layout,
    dy: Layout,
    isa: Isa,
    choice: Choice,
    sums: PartialSums,
    way: Way,
}

#[derive(Clone, Debug)]
enum Way {
    Direct(DirectGradient),
    Winograd(WinogradGradient),
}

/// How partial sums lie: `[band][panel][input block][tap][input channel][channel of the panel]`.
///
/// Each band sums over its own part of the pixels. Where the input is planar, an input block is one
/// channel.
#[derive(Clone, Debug)]
pub(in crate::conv) struct PartialSums {
    pub(in crate::conv) panels: Vec<PanelSums>,
    /// Floats of a band.
    pub(in crate::conv) band: usize,
    pub(in crate::conv) bands: usize,
}

/// The sums of some output channel blocks.
#[derive(Clone, Debug)]
pub(in crate::conv) struct PanelSums {
    /// The output channel blocks.
    pub(in crate::conv) blocks: Range<usize>,
    /// The input blocks that they read.
    pub(in crate::conv) reads: Range<usize>,
    /// Where the sums start in a band.
    pub(in crate::conv) at: usize,
}

impl PanelSums {
    /// Where the sums of input block `block` and tap `tap` start in a band; `depth` channels are in a block.
    pub(in crate::conv) fn index(&self, block: usize, tap: usize, taps: usize, depth: usize) -> usize {
        self.at + ((block - self.reads.start) * taps + tap) * depth * self.blocks.len() * BLOCK
    }
}

impl PartialSums {
    fn new(shape: &ConvShape, x: &Layout, dy: &Layout, width: usize) -> Self {
        let width = if shape.groups > 1 { 1 } else { width };
        let mut panels = Vec::new();
        let mut band = 0;
        for first in (0..dy.blocks()).step_by(width) {
            let blocks = first..(first + width).min(dy.blocks());
            let reads = inputs_of(shape, blocks.clone(), x.block());
            let len = reads.len() * shape.taps() * x.block() * blocks.len() * BLOCK;
            panels.push(PanelSums { blocks, reads, at: band });
            band += len;
        }
        Self { panels, band, bands: 1 }
    }

    /// As many bands as make [`TASKS`] tasks of `pairs` pairs of channel groups, but no more than `most`.
    fn cut(&mut self, pairs: usize, most: usize) {
        self.bands = TASKS.div_ceil(pairs).clamp(1, most);
    }
}

impl ConvBackwardWeights {
    /// The gradient by the weights of the convolution `shape`, whose input lies as `x` says, blocked or
    /// planar, and whose output's gradient as `dy` says, blocked. Either may have a border; one of `x` as
    /// wide as the padding saves a copy.
    ///
    /// # Errors
    /// [`KernelError::Shape`] where the shape is impossible or is not that of the layouts.
    pub fn new(cpu: &Cpu, shape: ConvShape, x: Layout, dy: Layout) -> Result<Self, KernelError> {
        Self::with_choice(cpu, shape, x, dy, select(Pass::BackwardWeights, &shape, &x)?)
    }

    /// The same by a given algorithm: direct, pointwise or F(4x4, 3x3).
    ///
    /// # Errors
    /// Those of [`ConvBackwardWeights::new`], and [`KernelError::Shape`] where the algorithm cannot
    /// compute it.
    pub fn with_algorithm(
        cpu: &Cpu,
        shape: ConvShape,
        x: Layout,
        dy: Layout,
        algorithm: Algorithm,
    ) -> Result<Self, KernelError> {
        let choice = Choice { algorithm, why: "asked for by the caller".into() };
        Self::with_choice(cpu, shape, x, dy, choice)
    }

    fn with_choice(
        cpu: &Cpu,
        shape: ConvShape,
        x: Layout,
        dy: Layout,
        choice: Choice,
    ) -> Result<Self, KernelError> {
        shape.check(&x, &dy)?;
        let wrong = |reason: String| KernelError::Shape { what: choice.algorithm.to_string(), reason };
        if ![1, BLOCK].contains(&x.block()) || dy.block() != BLOCK {
            return Err(wrong(format!("reads blocked or planar and blocked maps, not {x:?} and {dy:?}")));
        }
        let mut sums = PartialSums::new(&shape, &x, &dy, cpu.isa().panel_blocks());
        let way = match choice.algorithm {
            Algorithm::Winograd4 => {
                winograd_applies(&shape, &x).map_err(wrong)?;
                let gradient = WinogradGradient::new(cpu, shape, x, dy, &sums);
                sums.cut(gradient.pairs(), gradient.blocks_of_tiles());
                Way::Winograd(gradient)
            }
            Algorithm::Pointwise if shape.taps() != 1 => {
                return Err(wrong("the kernel has many taps".into()));
            }
            Algorithm::Pointwise | Algorithm::Direct => {
                let gradient = DirectGradient::new(cpu, shape, x, dy, &sums)?;
                sums.cut(gradient.pairs(), gradient.chunks());
                Way::Direct(gradient)
            }
            Algorithm::Winograd2 | Algorithm::Strided2 | Algorithm::Strided4 => {
                return Err(wrong("weight gradients have F(4x4) only".into()));
            }
        };
        Ok(Self { shape, x, dy, isa: cpu.isa(), choice, sums, way })
    }

    /// How it is computed.
    pub fn algorithm(&self) -> Algorithm {
        self.choice.algorithm
    }

    /// Why it is computed so.
    pub fn why(&self) -> &str {
        &self.choice.why
    }

    /// The sizes of the convolution whose gradient this is.
    pub fn shape(&self) -> &ConvShape {
        &self.shape
    }

    /// Floats of workspace that [`ConvBackwardWeights::run`] needs on `cpu`.
    pub fn workspace(&self, cpu: &Cpu) -> usize {
        let scratch = match &self.way {
            Way::Direct(direct) => direct.scratch(),
            Way::Winograd(winograd) => winograd.scratch(cpu.pool().threads()),
        };
        self.sums.bands * self.sums.band + scratch
    }

    /// Computes `dw`, `[out_channels][in_channels / groups][rows][columns]`.
    ///
    /// # Errors
    /// [`KernelError::Length`] where a slice is too short or too long (the workspace may be longer than
    /// [`ConvBackwardWeights::workspace`]), [`KernelError::Shape`] where `cpu` is not of the instruction
    /// set that this was made for.
    pub fn run(
        &self,
        cpu: &Cpu,
        x: &[f32],
        dy: &[f32],
        dw: &mut [f32],
        workspace: &mut [f32],
    ) -> Result<(), KernelError> {
        if cpu.isa() != self.isa {
            let reason = format!("made for {}, asked to run on {}", self.isa, cpu.isa());
            return Err(KernelError::Shape { what: "the gradient by the weights".into(), reason });
        }
        self.x.check("the input", x.len())?;
        self.dy.check("the gradient by the output", dy.len())?;
        check_length("the gradient by the weights", self.shape.weights(), dw.len())?;
        if workspace.len() < self.workspace(cpu) {
            check_length("the workspace", self.workspace(cpu), workspace.len())?;
        }
        let (partial, scratch) = workspace.split_at_mut(self.sums.bands * self.sums.band);
        match &self.way {
            Way::Direct(direct) => direct.run(cpu, x, dy, &self.sums, partial, scratch),
            Way::Winograd(winograd) => winograd.run(cpu, x, dy, &self.sums, partial, scratch),
        }
        self.gather(cpu, partial, dw);
        Ok(())
    }

    /// Adds up the bands, in their order, into `dw`: a panel and an input block at a time, whose sums stay
    /// in the level 1 cache while they are read channel by channel.
    fn gather(&self, cpu: &Cpu, partial: &mut [f32], dw: &mut [f32]) {
        let (shape, depth, taps) = (&self.shape, self.x.block(), self.shape.taps());
        let [ins, outs] = [shape.in_channels, shape.out_channels].map(|channels| channels / shape.groups);
        let (partial, dw) = (Parts::new(partial), Parts::new(dw));
        let panels = &self.sums.panels;
        let most = panels.iter().map(|panel| panel.reads.len()).max().unwrap_or(0);
        cpu.pool().for_each(panels.len() * most, |task, _| {
            let (panel, block) = (&panels[task / most], task % most);
            if block >= panel.reads.len() {
                return;
            }
            let block = panel.reads.start + block;
            let (width, at) = (panel.blocks.len() * BLOCK, panel.index(block, 0, taps, depth));
            // SAFETY: every task has a panel's sums of an input block for itself, in all bands.
            let band = |band: usize| unsafe {
                let at = band * self.sums.band + at;
                partial.part(at..at + taps * depth * width)
            };
            let sums = band(0);
            for other in 1..self.sums.bands {
                sums.iter_mut().zip(band(other)).for_each(|(sum, other)| *sum += *other);
            }
            let first = panel.blocks.start * BLOCK;
            for channel in first..(first + width).min(shape.out_channels) {
                // The channels of the block that are of this channel's group.
                let group = channel / outs * ins;
                let from = (block * depth).max(group)..((block + 1) * depth).min(group + ins);
                if from.is_empty() {
                    continue;
                }
                let start = (channel * ins + from.start - group) * taps;
                // SAFETY: every output channel's part for an input block is one task's.
                let dw = unsafe { dw.part(start..start + from.len() * taps) };
                let sums = &sums[(from.start - block * depth) * width + channel - first..];
                for (i, dw) in dw.chunks_exact_mut(taps).enumerate() {
                    for (tap, dw) in dw.iter_mut().enumerate() {
                        *dw = sums[(tap * depth + i) * width];
                    }
                }
            }
        });
    }
}
