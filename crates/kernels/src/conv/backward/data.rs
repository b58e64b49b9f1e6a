//! The gradient of a convolution by its input.

use crate::conv::cost::Weights;
use crate::conv::lent::PackedWeights;
use crate::conv::method::Convolution;
use crate::conv::prepared::{Arguments, Packed, Prepared};
use crate::conv::select::{Choice, Pass, select, select_for};
use crate::conv::{Algorithm, ConvShape};
use crate::gemm::Epilogue;
use crate::{Buffer, Cpu, Error, Layout, Pool};

/// `dx[n, i, a] = sum over o, u with a = p s - padding + u d of w[o, i, u] dy[n, o, p]`, with its layouts
/// and its algorithm.
///
/// At stride 1 it is a convolution of `dy` with the weights turned around, by any algorithm that
/// convolutions have. At larger strides the pixels of `dx` fall into classes, by their rest modulo the
/// stride: each is a convolution at stride 1 with those taps that reach it, so nothing is multiplied by
/// zeros between the pixels of `dy`.
///
/// ```
/// use residual_kernels::{ConvBackwardData, ConvShape, Cpu, Epilogue, Layout};
///
/// let cpu = Cpu::new(2)?;
/// let shape = ConvShape::square(1, [16, 32], 8, 3, 2);
/// let dy = Layout::blocked(1, 32, 4, 4)?.with_border(1)?;
/// let dx = Layout::blocked(1, 16, 8, 8)?;
/// let backward = ConvBackwardData::new(&cpu, shape, dy, dx)?;
/// let weights = backward.pack(&vec![0.1; shape.weights()])?;
/// let mut workspace = vec![0.0; backward.workspace(&cpu)];
/// let (gradient, mut result) = (vec![1.0; dy.len()], vec![0.0; dx.len()]);
/// backward.run(&cpu, &gradient, &weights, &Epilogue::default(), &mut result, &mut workspace)?;
/// # Ok::<(), residual_kernels::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ConvBackwardData {
    shape: ConvShape,
    dy: Layout,
    dx: Layout,
    choice: Choice,
    prepared: Prepared,
}

/// Weights packed for one [`ConvBackwardData`].
#[derive(Clone, Debug)]
pub struct DataWeights(Packed);

impl PackedWeights for DataWeights {
    fn memory(&mut self) -> &mut Buffer {
        self.0.memory()
    }
}

impl ConvBackwardData {
    /// The gradient with respect to the input of the convolution `shape`, from the layout `dy` of its
    /// output's gradient to the layout `dx`; both are blocked, either may have a border.
    ///
    /// # Errors
    /// [`Error::Shape`] where the shape is impossible or is not that of the layouts.
    pub fn new(cpu: &Cpu, shape: ConvShape, dy: Layout, dx: Layout) -> Result<Self, Error> {
        Self::with_choice(cpu, shape, dy, dx, select(Pass::BackwardData, &shape, &dy)?)
    }

    /// Data gradient with weights that are packed before every run ([`Weights::PackedAnew`]).
    ///
    /// # Errors
    /// Those of [`ConvBackwardData::new`].
    pub fn packed_anew(cpu: &Cpu, shape: ConvShape, dy: Layout, dx: Layout) -> Result<Self, Error> {
        let choice = select_for(Pass::BackwardData, &shape, &dy, Weights::PackedAnew)?;
        Self::with_choice(cpu, shape, dy, dx, choice)
    }

    /// Data gradient by a given algorithm.
    ///
    /// # Errors
    /// Those of [`ConvBackwardData::new`], and [`Error::Shape`] where the algorithm cannot compute
    /// it.
    pub fn with_algorithm(
        cpu: &Cpu,
        shape: ConvShape,
        dy: Layout,
        dx: Layout,
        algorithm: Algorithm,
    ) -> Result<Self, Error> {
        let choice = Choice { algorithm, why: "asked for by the caller".into() };
        Self::with_choice(cpu, shape, dy, dx, choice)
    }

    fn with_choice(
        cpu: &Cpu,
        shape: ConvShape,
        dy: Layout,
        dx: Layout,
        choice: Choice,
    ) -> Result<Self, Error> {
        shape.check(&dx, &dy)?;
        let prepared = Prepared::by_input(cpu, &Convolution { shape, input: dy, output: dx }, &choice)?;
        Ok(Self { shape, dy, dx, choice, prepared })
    }

    /// Algorithm that computes it.
    pub fn algorithm(&self) -> Algorithm {
        self.choice.algorithm
    }

    /// Reason for the algorithm.
    pub fn why(&self) -> &str {
        &self.choice.why
    }

    /// The sizes of the convolution whose gradient this is.
    pub fn shape(&self) -> &ConvShape {
        &self.shape
    }

    /// Layout of the gradient with respect to the output.
    pub fn dy(&self) -> &Layout {
        &self.dy
    }

    /// Layout of the gradient with respect to the input.
    pub fn dx(&self) -> &Layout {
        &self.dx
    }

    /// Packs the convolution's `weights`, `[out_channels][in_channels / groups][rows][columns]`.
    ///
    /// # Errors
    /// [`Error::Length`] where they are not that many.
    pub fn pack(&self, weights: &[f32]) -> Result<DataWeights, Error> {
        let mut packed = self.zeroed_weights();
        self.prepared.pack(&Pool::new(1)?, weights, &mut packed.0)?;
        Ok(packed)
    }

    /// Room for the weights of this convolution.
    pub(crate) fn zeroed_weights(&self) -> DataWeights {
        DataWeights(self.prepared.zeroed_weights())
    }

    /// Packs `weights` again, on the threads of `cpu` and in place. `packed` comes from
    /// [`ConvBackwardData::pack`].
    ///
    /// # Errors
    /// [`Error::Length`] where the weights are not [`ConvShape::weights`], [`Error::Shape`]
    /// where `packed` is another convolution's.
    pub fn pack_into(&self, cpu: &Cpu, weights: &[f32], packed: &mut DataWeights) -> Result<(), Error> {
        self.prepared.check(cpu, &packed.0)?;
        self.prepared.pack(cpu.pool(), weights, &mut packed.0)
    }

    /// Floats of workspace that [`ConvBackwardData::run`] needs on `cpu`.
    pub fn workspace(&self, cpu: &Cpu) -> usize {
        self.prepared.workspace(cpu)
    }

    /// Computes `dx`, all of it: its border and the lanes past the last channel become 0. The `epilogue`
    /// is applied to it as it is stored: its residual adds another gradient of the same maps, where a
    /// shortcut meets its branch.
    ///
    /// # Errors
    /// [`Error::Length`] where a slice is too short or too long for its layout (the workspace may
    /// be longer than [`ConvBackwardData::workspace`]), [`Error::Shape`] where the weights were
    /// packed for another convolution, `cpu` is not of the instruction set that this was made for, or the
    /// residual has other maps.
    pub fn run(
        &self,
        cpu: &Cpu,
        dy: &[f32],
        weights: &DataWeights,
        epilogue: &Epilogue<'_>,
        dx: &mut [f32],
        workspace: &mut [f32],
    ) -> Result<(), Error> {
        let weights = &weights.0;
        self.prepared.run(cpu, Arguments { x: dy, weights, epilogue, sums: None, y: dx, workspace })
    }
}
