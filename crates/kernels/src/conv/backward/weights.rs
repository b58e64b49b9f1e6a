//! The gradient of a convolution by its weights.

use std::sync::Arc;

use super::bands::Bands;
use crate::conv::method::{Convolution, GradientPlan};
use crate::conv::select::{Choice, Pass, select};
use crate::conv::{Algorithm, ConvShape};
use crate::layout::{check_length, workspace as floats};
use crate::simd::BLOCK;
use crate::{Cpu, Error, Isa, Layout, convert};

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
/// let shape = ConvShape::square(1, [16, 32], 8, 3, 1);
/// let x = Layout::blocked(1, 16, 8, 8)?.with_border(1)?;
/// let dy = Layout::blocked(1, 32, 8, 8)?;
/// let backward = ConvBackwardWeights::new(&cpu, shape, x, dy)?;
/// let mut workspace = vec![0.0; backward.workspace(&cpu)];
/// let mut dw = vec![0.0; shape.weights()];
/// backward.run(&cpu, &vec![0.0; x.len()], &vec![1.0; dy.len()], &mut dw, &mut workspace)?;
/// # Ok::<(), residual_kernels::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ConvBackwardWeights {
    shape: ConvShape,
    x: Layout,
    dy: Layout,
    /// `x` as it is read.
    source: Layout,
    isa: Isa,
    choice: Choice,
    bands: Bands,
    plan: Arc<dyn GradientPlan>,
}

impl ConvBackwardWeights {
    /// The gradient with respect to the weights of the convolution `shape`, whose input lies as `x` says, blocked or
    /// planar, and whose output's gradient as `dy` says, blocked. Either may have a border; one of `x` as
    /// wide as the padding saves a copy.
    ///
    /// # Errors
    /// [`Error::Shape`] where the shape is impossible or is not that of the layouts.
    pub fn new(cpu: &Cpu, shape: ConvShape, x: Layout, dy: Layout) -> Result<Self, Error> {
        Self::with_choice(cpu, shape, x, dy, select(Pass::BackwardWeights, &shape, &x)?)
    }

    /// Weight gradient by a given algorithm, one that computes gradients with respect to the weights.
    ///
    /// # Errors
    /// Those of [`ConvBackwardWeights::new`], and [`Error::Shape`] where the algorithm cannot
    /// compute it.
    pub fn with_algorithm(
        cpu: &Cpu,
        shape: ConvShape,
        x: Layout,
        dy: Layout,
        algorithm: Algorithm,
    ) -> Result<Self, Error> {
        let choice = Choice { algorithm, why: "asked for by the caller".into() };
        Self::with_choice(cpu, shape, x, dy, choice)
    }

    fn with_choice(
        cpu: &Cpu,
        shape: ConvShape,
        x: Layout,
        dy: Layout,
        choice: Choice,
    ) -> Result<Self, Error> {
        shape.check(&x, &dy)?;
        let wrong = |reason: String| Error::Shape { what: choice.algorithm.to_string(), reason };
        if ![1, BLOCK].contains(&x.block()) || dy.block() != BLOCK {
            return Err(wrong(format!("reads blocked or planar and blocked maps, not {x:?} and {dy:?}")));
        }
        let method = choice.algorithm.method();
        let Some(prepare) = method.by_weights else {
            return Err(wrong("it computes no gradient by the weights".into()));
        };
        (method.applies)(&shape, &x).map_err(|why| wrong(why.into()))?;
        let mut bands = Bands::new(shape, &x, &dy);
        let plan = prepare(cpu, &Convolution { shape, input: x, output: dy }, &mut bands)?;
        Ok(Self { shape, x, dy, source: plan.source(), isa: cpu.isa(), choice, bands, plan })
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

    /// Floats of workspace that [`ConvBackwardWeights::run`] needs on `cpu`.
    pub fn workspace(&self, cpu: &Cpu) -> usize {
        self.bands.workspace() + self.copy() + self.plan.scratch(cpu.pool().threads())
    }

    /// Floats of the copy of `x` with a border.
    fn copy(&self) -> usize {
        if self.source == self.x { 0 } else { self.source.len() }
    }

    /// Computes `dw`, `[out_channels][in_channels / groups][rows][columns]`.
    ///
    /// # Errors
    /// [`Error::Length`] where a slice is too short or too long (the workspace may be longer than
    /// [`ConvBackwardWeights::workspace`]), [`Error::Shape`] where `cpu` is not of the instruction
    /// set that this was made for.
    pub fn run(
        &self,
        cpu: &Cpu,
        x: &[f32],
        dy: &[f32],
        dw: &mut [f32],
        workspace: &mut [f32],
    ) -> Result<(), Error> {
        if cpu.isa() != self.isa {
            let reason = format!("made for {}, asked to run on {}", self.isa, cpu.isa());
            return Err(Error::Shape { what: "the gradient with respect to the weights".into(), reason });
        }
        self.x.check("the input", x.len())?;
        self.dy.check("the gradient with respect to the output", dy.len())?;
        check_length("the gradient with respect to the weights", self.shape.weights(), dw.len())?;
        let workspace = floats(self.workspace(cpu), workspace)?;
        let (partial, workspace) = workspace.split_at_mut(self.bands.workspace());
        let (copy, scratch) = workspace.split_at_mut(self.copy());
        let x = if copy.is_empty() {
            x
        } else {
            convert(cpu, x, self.x, copy, self.source)?;
            copy
        };
        let target = self.bands.target(dw, partial);
        self.plan.run(cpu, x, dy, target, scratch);
        target.gather(cpu);
        Ok(())
    }
}
