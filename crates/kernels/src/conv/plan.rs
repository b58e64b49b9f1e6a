//! A convolution made ready to run.

use super::ConvShape;
use super::direct::Direct;
use super::kernel::KernelView;
use super::lent::PackedWeights;
use super::pack::pack_panels;
use super::select::{Algorithm, Choice, Weights, select_forward, strided_applies, winograd_applies};
use super::winograd::{Form, Winograd, WinogradWeights};
use crate::gemm::{Epilogue, Finish, Panels};
use crate::layout::{check_length, workspace as floats};
use crate::simd::BLOCK;
use crate::{Buffer, Cpu, Isa, KernelError, Layout, Pool};

/// A convolution with its layouts and its algorithm.
///
/// ```
/// use residual_kernels::{Conv, ConvShape, Cpu, Epilogue, Layout};
///
/// let cpu = Cpu::new(2)?;
/// // 3x3 on an image of 16 channels and 8x8 pixels, padded by the border.
/// let shape = ConvShape::square(1, (16, 32), 8, 3, 1);
/// let input = Layout::blocked(1, 16, 8, 8)?.with_border(1)?;
/// let output = Layout::blocked(1, 32, 8, 8)?;
/// let conv = Conv::new(&cpu, shape, input, output)?;
/// println!("{}: {}", conv.algorithm(), conv.why());
///
/// let weights = conv.pack(&vec![0.1; shape.weights()])?;
/// let (x, mut y) = (vec![0.0; input.len()], vec![0.0; output.len()]);
/// let mut workspace = vec![0.0; conv.workspace(&cpu)];
/// let relu = Epilogue { relu: true, ..Epilogue::default() };
/// conv.forward(&cpu, &x, &weights, &relu, None, &mut y, &mut workspace)?;
/// # Ok::<(), residual_kernels::KernelError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Conv {
    shape: ConvShape,
    input: Layout,
    output: Layout,
    isa: Isa,
    choice: Choice,
    way: Way,
}

#[derive(Clone, Debug)]
enum Way {
    Direct(Direct),
    Winograd(Winograd),
}

/// Weights packed (and, for Winograd, transformed) for one [`Conv`].
#[derive(Clone, Debug)]
pub struct ConvWeights {
    shape: ConvShape,
    algorithm: Algorithm,
    isa: Isa,
    /// Channels that lie together in the input.
    block: usize,
    packed: Packed,
}

#[derive(Clone, Debug)]
enum Packed {
    Direct(Panels),
    Winograd(WinogradWeights),
}

/// Where a convolution leaves, of each output channel, the sum of its results and of their squares over
/// all images and pixels, before the epilogue: what a batch normalisation needs.
///
/// Single products are added up in float32 within a band of rows, bands in float64, always in the same
/// order.
#[derive(Debug)]
pub struct Sums<'a> {
    /// The sum of each output channel.
    pub sum: &'a mut [f32],
    /// The sum of the squares of each output channel.
    pub squares: &'a mut [f32],
}

impl PackedWeights for ConvWeights {
    fn memory(&mut self) -> Vec<&mut Buffer> {
        match &mut self.packed {
            Packed::Direct(panels) => vec![&mut panels.values],
            Packed::Winograd(weights) => vec![weights.memory()],
        }
    }
}

impl Conv {
    /// A convolution from maps that lie as `input` says to maps that lie as `output` says, by the
    /// algorithm that [`select`](super::select) chooses.
    ///
    /// The input is blocked or planar, the output blocked; either may have a border. An input border as
    /// wide as the padding saves a copy of the input.
    ///
    /// # Errors
    /// [`KernelError::Shape`] where the shape is impossible or is not that of the layouts.
    pub fn new(cpu: &Cpu, shape: ConvShape, input: Layout, output: Layout) -> Result<Self, KernelError> {
        Self::with_choice(cpu, shape, input, output, select_forward(cpu, &shape, &input, Weights::AtHand)?)
    }

    /// The same for weights that are packed before every run ([`Weights::PackedAnew`]).
    ///
    /// # Errors
    /// Those of [`Conv::new`].
    pub fn packed_anew(
        cpu: &Cpu,
        shape: ConvShape,
        input: Layout,
        output: Layout,
    ) -> Result<Self, KernelError> {
        let choice = select_forward(cpu, &shape, &input, Weights::PackedAnew)?;
        Self::with_choice(cpu, shape, input, output, choice)
    }

    /// The same by a given algorithm.
    ///
    /// # Errors
    /// Those of [`Conv::new`], and [`KernelError::Shape`] where the algorithm cannot compute it.
    pub fn with_algorithm(
        cpu: &Cpu,
        shape: ConvShape,
        input: Layout,
        output: Layout,
        algorithm: Algorithm,
    ) -> Result<Self, KernelError> {
        let choice = Choice { algorithm, why: "asked for by the caller".into() };
        Self::with_choice(cpu, shape, input, output, choice)
    }

    fn with_choice(
        cpu: &Cpu,
        shape: ConvShape,
        input: Layout,
        output: Layout,
        choice: Choice,
    ) -> Result<Self, KernelError> {
        shape.check(&input, &output)?;
        let wrong = |reason: String| KernelError::Shape { what: choice.algorithm.to_string(), reason };
        if ![1, BLOCK].contains(&input.block()) || output.block() != BLOCK {
            return Err(wrong(format!(
                "reads blocked or planar and writes blocked, not {input:?} to {output:?}"
            )));
        }
        let way = match choice.algorithm {
            Algorithm::Pointwise if shape.taps() != 1 => {
                return Err(wrong("the kernel has many taps".into()));
            }
            Algorithm::Pointwise | Algorithm::Direct => Way::Direct(Direct::new(shape, input, output)?),
            Algorithm::Winograd2 | Algorithm::Winograd4 | Algorithm::Expanded2 | Algorithm::Expanded4 => {
                winograd_applies(&shape, &input).map_err(wrong)?;
                Way::Winograd(Winograd::new(cpu, shape, input, output, choice.algorithm))
            }
            Algorithm::Strided2 | Algorithm::Strided4 => {
                strided_applies(&shape, &input).map_err(wrong)?;
                Way::Winograd(Winograd::new(cpu, shape, input, output, choice.algorithm))
            }
        };
        Ok(Self { shape, input, output, isa: cpu.isa(), choice, way })
    }

    /// How it is computed.
    pub fn algorithm(&self) -> Algorithm {
        self.choice.algorithm
    }

    /// Why it is computed so.
    pub fn why(&self) -> &str {
        &self.choice.why
    }

    /// Its sizes.
    pub fn shape(&self) -> &ConvShape {
        &self.shape
    }

    /// How its input lies.
    pub fn input(&self) -> &Layout {
        &self.input
    }

    /// How its output lies.
    pub fn output(&self) -> &Layout {
        &self.output
    }

    /// Packs `weights`, `[out_channels][in_channels / groups][rows][columns]`.
    ///
    /// # Errors
    /// [`KernelError::Length`] where they are not that many.
    pub fn pack(&self, weights: &[f32]) -> Result<ConvWeights, KernelError> {
        let mut packed = self.zeroed_weights();
        self.pack_view(&Pool::new(1)?, weights, false, &mut packed)?;
        Ok(packed)
    }

    /// The same on the threads of `cpu`.
    ///
    /// # Errors
    /// As for [`Conv::pack`].
    pub fn pack_on(&self, cpu: &Cpu, weights: &[f32]) -> Result<ConvWeights, KernelError> {
        let mut packed = self.zeroed_weights();
        self.pack_view(cpu.pool(), weights, false, &mut packed)?;
        Ok(packed)
    }

    /// Packs `weights` again, on the threads of `cpu` and in place: what training does at every
    /// step. `packed` comes from [`Conv::pack`].
    ///
    /// # Errors
    /// [`KernelError::Length`] where the weights are not [`ConvShape::weights`], [`KernelError::Shape`]
    /// where `packed` is another convolution's.
    pub fn pack_into(&self, cpu: &Cpu, weights: &[f32], packed: &mut ConvWeights) -> Result<(), KernelError> {
        self.check(cpu, packed)?;
        self.pack_view(cpu.pool(), weights, false, packed)
    }

    /// Room for the weights of this convolution.
    pub(crate) fn zeroed_weights(&self) -> ConvWeights {
        let width = self.isa.panel_blocks();
        let packed = match &self.way {
            Way::Direct(direct) => Packed::Direct(direct.panels(width)),
            Way::Winograd(winograd) if winograd.expands() => Packed::Direct(winograd.panels(width)),
            Way::Winograd(winograd) => Packed::Winograd(winograd.weights(width)),
        };
        let (shape, algorithm, isa, block) = (self.shape, self.algorithm(), self.isa, self.input.block());
        ConvWeights { shape, algorithm, isa, block, packed }
    }

    /// Packs `weights`, in which in- and output channels may be exchanged (see [`KernelView`]).
    pub(super) fn pack_view(
        &self,
        pool: &Pool,
        weights: &[f32],
        exchanged: bool,
        packed: &mut ConvWeights,
    ) -> Result<(), KernelError> {
        check_length("the weights", self.shape.weights(), weights.len())?;
        let view = KernelView::new(&self.shape, weights, exchanged);
        match (&self.way, &mut packed.packed) {
            (Way::Direct(_), Packed::Direct(panels)) => pack_panels(pool, self.isa, view, panels),
            (Way::Winograd(winograd), Packed::Winograd(weights)) => {
                winograd.pack(pool, self.isa, view, weights);
            }
            (Way::Winograd(_), Packed::Direct(panels)) => pack_panels(pool, self.isa, view, panels),
            _ => unreachable!("the algorithms were compared"),
        }
        Ok(())
    }

    /// Floats of workspace that [`Conv::forward`] needs on `cpu`.
    pub fn workspace(&self, cpu: &Cpu) -> usize {
        let blocks = self.output.blocks();
        let scratch = match &self.way {
            Way::Direct(direct) => direct.scratch(),
            Way::Winograd(winograd) => winograd.scratch(cpu.pool().threads()),
        };
        Finish::scratch(blocks) + Finish::sums(self.bands(), blocks) + scratch
    }

    /// Parts of the output that are summed up on their own.
    fn bands(&self) -> usize {
        match &self.way {
            Way::Direct(direct) => direct.bands(),
            Way::Winograd(winograd) => winograd.bands(),
        }
    }

    /// Computes `y`, all of it: its border and the lanes past the last channel become 0.
    ///
    /// # Errors
    /// [`KernelError::Length`] where a slice is too short or too long for its layout (the workspace may
    /// be longer than [`Conv::workspace`]), [`KernelError::Shape`] where the weights were packed for
    /// another convolution, `cpu` is not of the instruction set that this was made for, or the residual
    /// has other maps.
    #[expect(clippy::too_many_arguments, reason = "three inputs, two outputs and what it runs on")]
    pub fn forward(
        &self,
        cpu: &Cpu,
        x: &[f32],
        weights: &ConvWeights,
        epilogue: &Epilogue<'_>,
        sums: Option<Sums<'_>>,
        y: &mut [f32],
        workspace: &mut [f32],
    ) -> Result<(), KernelError> {
        self.check(cpu, weights)?;
        self.input.check("the input", x.len())?;
        self.output.check("the output", y.len())?;
        if let Some(sums) = &sums {
            check_length("the sums", self.shape.out_channels, sums.sum.len())?;
            check_length("the sums of squares", self.shape.out_channels, sums.squares.len())?;
        }
        let workspace = floats(self.workspace(cpu), workspace)?;
        let blocks = self.output.blocks();
        let (vectors, workspace) = workspace.split_at_mut(Finish::scratch(blocks));
        let (partial, scratch) = workspace.split_at_mut(Finish::sums(self.bands(), blocks));
        partial.fill(0.0);
        let finish = epilogue.prepare(&self.output, vectors, sums.is_some().then_some(&mut *partial))?;
        match (&self.way, &weights.packed) {
            (Way::Direct(direct), Packed::Direct(panels)) => direct.run(cpu, x, panels, &finish, y, scratch),
            (Way::Winograd(winograd), Packed::Winograd(weights)) => {
                winograd.run(cpu, x, Form::AtPoints(weights), &finish, y, scratch);
            }
            (Way::Winograd(winograd), Packed::Direct(panels)) => {
                winograd.run(cpu, x, Form::AsTheyAre(panels), &finish, y, scratch);
            }
            _ => unreachable!("the algorithms were compared"),
        }
        if let Some(sums) = sums {
            add_up(partial, blocks * BLOCK, sums);
        }
        Ok(())
    }

    pub(super) fn check(&self, cpu: &Cpu, weights: &ConvWeights) -> Result<(), KernelError> {
        let wrong = |reason: String| Err(KernelError::Shape { what: "convolution".into(), reason });
        if cpu.isa() != self.isa {
            return wrong(format!("made for {}, asked to run on {}", self.isa, cpu.isa()));
        }
        // Weights serve any batch and image size, and any stride and padding that the algorithm allows.
        let kernel = |s: &ConvShape| (s.in_channels, s.out_channels, s.kernel, s.groups);
        let packed = (kernel(&weights.shape), weights.algorithm, weights.isa, weights.block);
        if packed != (kernel(&self.shape), self.algorithm(), self.isa, self.input.block()) {
            let (shape, algorithm, isa) = (weights.shape, weights.algorithm, weights.isa);
            return wrong(format!(
                "weights packed for {shape:?}, {algorithm}, {isa}; this is {:?}",
                self.shape
            ));
        }
        Ok(())
    }
}

/// Adds up the bands' sums, in their order.
fn add_up(partial: &[f32], channels: usize, sums: Sums<'_>) {
    for (offset, target) in [(0, sums.sum), (channels, sums.squares)] {
        for (channel, target) in target.iter_mut().enumerate() {
            let bands = partial.chunks_exact(2 * channels);
            *target = bands.map(|band| f64::from(band[offset + channel])).sum::<f64>() as f32;
        }
    }
}
