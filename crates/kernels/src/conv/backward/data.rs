//! The gradient of a convolution by its input.

use super::phases::Phases;
use crate::conv::lent::PackedWeights;
use crate::conv::select::{Choice, Pass, Weights, select, select_for};
use crate::conv::{Algorithm, Conv, ConvShape, ConvWeights};
use crate::gemm::{Epilogue, Finish, Panels};
use crate::layout::{check_length, workspace as floats};
use crate::{Buffer, Cpu, Isa, KernelError, Layout, Pool};

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
/// let shape = ConvShape::square(1, (16, 32), 8, 3, 2);
/// let dy = Layout::blocked(1, 32, 4, 4)?.with_border(1)?;
/// let dx = Layout::blocked(1, 16, 8, 8)?;
/// let backward = ConvBackwardData::new(&cpu, shape, dy, dx)?;
/// let weights = backward.pack(&vec![0.1; shape.weights()])?;
/// let mut workspace = vec![0.0; backward.workspace(&cpu)];
/// let (gradient, mut result) = (vec![1.0; dy.len()], vec![0.0; dx.len()]);
/// backward.run(&cpu, &gradient, &weights, &Epilogue::default(), &mut result, &mut workspace)?;
/// # Ok::<(), residual_kernels::KernelError>(())
/// ```
#[derive(Clone, Debug)]
pub struct ConvBackwardData {
    shape: ConvShape,
    dy: Layout,
    dx: Layout,
    isa: Isa,
    choice: Choice,
    way: Way,
}

#[derive(Clone, Debug)]
enum Way {
    /// As a convolution of `dy`.
    Conv(Box<Conv>),
    Phases(Box<Phases>),
}

/// Weights packed for one [`ConvBackwardData`].
#[derive(Clone, Debug)]
pub struct DataWeights {
    shape: ConvShape,
    isa: Isa,
    packed: Packed,
}

#[derive(Clone, Debug)]
enum Packed {
    Conv(ConvWeights),
    Phases(Vec<Panels>),
}

impl PackedWeights for DataWeights {
    fn memory(&mut self) -> Vec<&mut Buffer> {
        match &mut self.packed {
            Packed::Conv(weights) => weights.memory(),
            Packed::Phases(panels) => panels.iter_mut().map(|panels| &mut panels.values).collect(),
        }
    }
}

impl ConvBackwardData {
    /// The gradient by the input of the convolution `shape`, whose output's gradient lies as `dy` says and
    /// whose input's is to lie as `dx` says; both are blocked, either may have a border.
    ///
    /// # Errors
    /// [`KernelError::Shape`] where the shape is impossible or is not that of the layouts.
    pub fn new(cpu: &Cpu, shape: ConvShape, dy: Layout, dx: Layout) -> Result<Self, KernelError> {
        Self::with_choice(cpu, shape, dy, dx, select(Pass::BackwardData, &shape, &dy)?)
    }

    /// The same for weights that are packed before every run ([`Weights::PackedAnew`]).
    ///
    /// # Errors
    /// Those of [`ConvBackwardData::new`].
    pub fn packed_anew(cpu: &Cpu, shape: ConvShape, dy: Layout, dx: Layout) -> Result<Self, KernelError> {
        let choice = select_for(Pass::BackwardData, &shape, &dy, Weights::PackedAnew)?;
        Self::with_choice(cpu, shape, dy, dx, choice)
    }

    /// The same by a given algorithm.
    ///
    /// # Errors
    /// Those of [`ConvBackwardData::new`], and [`KernelError::Shape`] where the algorithm cannot compute
    /// it.
    pub fn with_algorithm(
        cpu: &Cpu,
        shape: ConvShape,
        dy: Layout,
        dx: Layout,
        algorithm: Algorithm,
    ) -> Result<Self, KernelError> {
        let choice = Choice { algorithm, why: "asked for by the caller".into() };
        Self::with_choice(cpu, shape, dy, dx, choice)
    }

    fn with_choice(
        cpu: &Cpu,
        shape: ConvShape,
        dy: Layout,
        dx: Layout,
        choice: Choice,
    ) -> Result<Self, KernelError> {
        shape.check(&dx, &dy)?;
        let turned = shape.turned();
        let way = match turned {
            Some(turned) => Way::Conv(Box::new(Conv::with_algorithm(cpu, turned, dy, dx, choice.algorithm)?)),
            None if choice.algorithm == Algorithm::Direct => {
                Way::Phases(Box::new(Phases::new(shape, dy, dx)?))
            }
            None => {
                let reason = "by the input, it needs stride 1 and a padding below the kernel's reach".into();
                return Err(KernelError::Shape { what: choice.algorithm.to_string(), reason });
            }
        };
        Ok(Self { shape, dy, dx, isa: cpu.isa(), choice, way })
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

    /// How the gradient by the output lies.
    pub fn dy(&self) -> &Layout {
        &self.dy
    }

    /// How the gradient by the input lies.
    pub fn dx(&self) -> &Layout {
        &self.dx
    }

    /// Packs the convolution's `weights`, `[out_channels][in_channels / groups][rows][columns]`.
    ///
    /// # Errors
    /// [`KernelError::Length`] where they are not that many.
    pub fn pack(&self, weights: &[f32]) -> Result<DataWeights, KernelError> {
        let mut packed = self.zeroed_weights();
        self.pack_on(&Pool::new(1)?, weights, &mut packed)?;
        Ok(packed)
    }

    /// Room for the weights of this convolution.
    pub(crate) fn zeroed_weights(&self) -> DataWeights {
        let packed = match &self.way {
            Way::Conv(conv) => Packed::Conv(conv.zeroed_weights()),
            Way::Phases(phases) => Packed::Phases(phases.panels(self.isa.panel_blocks())),
        };
        DataWeights { shape: self.shape, isa: self.isa, packed }
    }

    /// Packs `weights` again, on the threads of `cpu` and in place. `packed` comes from
    /// [`ConvBackwardData::pack`].
    ///
    /// # Errors
    /// [`KernelError::Length`] where the weights are not [`ConvShape::weights`], [`KernelError::Shape`]
    /// where `packed` is another convolution's.
    pub fn pack_into(&self, cpu: &Cpu, weights: &[f32], packed: &mut DataWeights) -> Result<(), KernelError> {
        self.check(cpu, packed)?;
        self.pack_on(cpu.pool(), weights, packed)
    }

    fn pack_on(&self, pool: &Pool, weights: &[f32], packed: &mut DataWeights) -> Result<(), KernelError> {
        check_length("the weights", self.shape.weights(), weights.len())?;
        match (&self.way, &mut packed.packed) {
            (Way::Conv(conv), Packed::Conv(packed)) => conv.pack_view(pool, weights, true, packed),
            (Way::Phases(phases), Packed::Phases(panels)) => {
                phases.pack(pool, self.isa, weights, panels);
                Ok(())
            }
            _ => Err(self.foreign(packed)),
        }
    }

    /// Floats of workspace that [`ConvBackwardData::run`] needs on `cpu`.
    pub fn workspace(&self, cpu: &Cpu) -> usize {
        match &self.way {
            Way::Conv(conv) => conv.workspace(cpu),
            Way::Phases(phases) => Finish::scratch(self.dx.blocks()) + phases.scratch(),
        }
    }

    /// Computes `dx`, all of it: its border and the lanes past the last channel become 0. The `epilogue`
    /// is applied to it as it is stored: its residual adds another gradient of the same maps, where a
    /// shortcut meets its branch.
    ///
    /// # Errors
    /// [`KernelError::Length`] where a slice is too short or too long for its layout (the workspace may
    /// be longer than [`ConvBackwardData::workspace`]), [`KernelError::Shape`] where the weights were
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
    ) -> Result<(), KernelError> {
        self.check(cpu, weights)?;
        self.dy.check("the gradient by the output", dy.len())?;
        self.dx.check("the gradient by the input", dx.len())?;
        let workspace = floats(self.workspace(cpu), workspace)?;
        match (&self.way, &weights.packed) {
            (Way::Conv(conv), Packed::Conv(weights)) => {
                conv.forward(cpu, dy, weights, epilogue, None, dx, workspace)
            }
            (Way::Phases(phases), Packed::Phases(panels)) => {
                let (vectors, scratch) = workspace.split_at_mut(Finish::scratch(self.dx.blocks()));
                let finish = epilogue.prepare(&self.dx, vectors, None)?;
                phases.run(cpu, dy, panels, &finish, dx, scratch);
                Ok(())
            }
            _ => Err(self.foreign(weights)),
        }
    }

    fn check(&self, cpu: &Cpu, weights: &DataWeights) -> Result<(), KernelError> {
        if cpu.isa() != self.isa {
            let reason = format!("made for {}, asked to run on {}", self.isa, cpu.isa());
            return Err(KernelError::Shape { what: "the gradient by the input".into(), reason });
        }
        let kernel = |s: &ConvShape| (s.in_channels, s.out_channels, s.kernel, s.groups);
        let same = kernel(&weights.shape) == kernel(&self.shape) && weights.isa == self.isa;
        let reach = |s: &ConvShape| (s.stride, s.padding, s.dilation);
        match (&self.way, &weights.packed) {
            (Way::Conv(conv), Packed::Conv(weights)) if same => conv.check(cpu, weights),
            (Way::Phases(_), Packed::Phases(_)) if same && reach(&weights.shape) == reach(&self.shape) => {
                Ok(())
            }
            _ => Err(self.foreign(weights)),
        }
    }

    fn foreign(&self, weights: &DataWeights) -> KernelError {
        KernelError::Shape {
            what: "the gradient by the input".into(),
            reason: format!(
                "weights packed for {:?} on {}; this is {:?}",
                weights.shape, weights.isa, self.shape
            ),
        }
    }
}
