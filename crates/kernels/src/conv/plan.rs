//! A convolution made ready to run.

use super::ConvShape;
use super::cost::Weights;
use super::lent::PackedWeights;
use super::method::Convolution;
use super::prepared::{Arguments, Packed, Prepared};
use super::select::{Choice, select_forward};
use super::sums::Sums;
use super::table::Algorithm;
use crate::gemm::Epilogue;
use crate::{Buffer, Cpu, Error, Layout, Pool};

/// A convolution with its layouts and its algorithm.
///
/// ```
/// use residual_kernels::{Conv, ConvShape, Cpu, Epilogue, Layout};
///
/// let cpu = Cpu::new(2)?;
/// // 3x3 on an image of 16 channels and 8x8 pixels, padded by the border.
/// let shape = ConvShape::square(1, [16, 32], 8, 3, 1);
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
/// # Ok::<(), residual_kernels::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Conv {
    shape: ConvShape,
    input: Layout,
    output: Layout,
    choice: Choice,
    prepared: Prepared,
}

/// Weights packed (and, for Winograd, transformed) for one [`Conv`].
#[derive(Clone, Debug)]
pub struct ConvWeights(Packed);

impl PackedWeights for ConvWeights {
    fn memory(&mut self) -> &mut Buffer {
        self.0.memory()
    }
}

impl Conv {
    /// A convolution from maps of layout `input` to maps of layout `output`, by the
    /// algorithm that [`select`](super::select) chooses.
    ///
    /// The input is blocked or planar, the output blocked; either may have a border. An input border as
    /// wide as the padding saves a copy of the input.
    ///
    /// # Errors
    /// [`Error::Shape`] where the shape is impossible or is not that of the layouts.
    pub fn new(cpu: &Cpu, shape: ConvShape, input: Layout, output: Layout) -> Result<Self, Error> {
        Self::with_choice(cpu, shape, input, output, select_forward(cpu, &shape, &input, Weights::AtHand)?)
    }

    /// Convolution with weights that are packed before every run ([`Weights::PackedAnew`]).
    ///
    /// # Errors
    /// Those of [`Conv::new`].
    pub fn packed_anew(cpu: &Cpu, shape: ConvShape, input: Layout, output: Layout) -> Result<Self, Error> {
        let choice = select_forward(cpu, &shape, &input, Weights::PackedAnew)?;
        Self::with_choice(cpu, shape, input, output, choice)
    }

    /// Convolution by a given algorithm.
    ///
    /// # Errors
    /// Those of [`Conv::new`], and [`Error::Shape`] where the algorithm cannot compute it.
    pub fn with_algorithm(
        cpu: &Cpu,
        shape: ConvShape,
        input: Layout,
        output: Layout,
        algorithm: Algorithm,
    ) -> Result<Self, Error> {
        let choice = Choice { algorithm, why: "asked for by the caller".into() };
        Self::with_choice(cpu, shape, input, output, choice)
    }

    fn with_choice(
        cpu: &Cpu,
        shape: ConvShape,
        input: Layout,
        output: Layout,
        choice: Choice,
    ) -> Result<Self, Error> {
        shape.check(&input, &output)?;
        let prepared = Prepared::forward(cpu, &Convolution { shape, input, output }, &choice)?;
        Ok(Self { shape, input, output, choice, prepared })
    }

    /// Algorithm that computes it.
    pub fn algorithm(&self) -> Algorithm {
        self.choice.algorithm
    }

    /// Reason for the algorithm.
    pub fn why(&self) -> &str {
        &self.choice.why
    }

    /// Sizes of the convolution.
    pub fn shape(&self) -> &ConvShape {
        &self.shape
    }

    /// Layout of the input.
    pub fn input(&self) -> &Layout {
        &self.input
    }

    /// Layout of the output.
    pub fn output(&self) -> &Layout {
        &self.output
    }

    /// Packs `weights`, `[out_channels][in_channels / groups][rows][columns]`.
    ///
    /// # Errors
    /// [`Error::Length`] where they are not that many.
    pub fn pack(&self, weights: &[f32]) -> Result<ConvWeights, Error> {
        let mut packed = self.zeroed_weights();
        self.prepared.pack(&Pool::new(1)?, weights, &mut packed.0)?;
        Ok(packed)
    }

    /// Packs the weights on the threads of `cpu`.
    ///
    /// # Errors
    /// As for [`Conv::pack`].
    pub fn pack_on(&self, cpu: &Cpu, weights: &[f32]) -> Result<ConvWeights, Error> {
        let mut packed = self.zeroed_weights();
        self.prepared.pack(cpu.pool(), weights, &mut packed.0)?;
        Ok(packed)
    }

    /// Packs `weights` again, on the threads of `cpu` and in place: what training does at every
    /// step. `packed` comes from [`Conv::pack`].
    ///
    /// # Errors
    /// [`Error::Length`] where the weights are not [`ConvShape::weights`], [`Error::Shape`]
    /// where `packed` is another convolution's.
    pub fn pack_into(&self, cpu: &Cpu, weights: &[f32], packed: &mut ConvWeights) -> Result<(), Error> {
        self.prepared.check(cpu, &packed.0)?;
        self.prepared.pack(cpu.pool(), weights, &mut packed.0)
    }

    /// Room for the weights of this convolution.
    pub(crate) fn zeroed_weights(&self) -> ConvWeights {
        ConvWeights(self.prepared.zeroed_weights())
    }

    /// Floats of workspace that [`Conv::forward`] needs on `cpu`.
    pub fn workspace(&self, cpu: &Cpu) -> usize {
        self.prepared.workspace(cpu)
    }

    /// Computes `y`, all of it: its border and the lanes past the last channel become 0.
    ///
    /// # Errors
    /// [`Error::Length`] where a slice is too short or too long for its layout (the workspace may
    /// be longer than [`Conv::workspace`]), [`Error::Shape`] where the weights were packed for
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
    ) -> Result<(), Error> {
        let weights = &weights.0;
        self.prepared.run(cpu, Arguments { x, weights, epilogue, sums, y, workspace })
    }
}
