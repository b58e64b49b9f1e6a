//! A method to compute convolutions: its row in the table, and what it makes ready.

use std::fmt::Debug;
use std::sync::Arc;

use super::ConvShape;
use super::backward::{Bands, Target};
use super::cost::Load;
use super::kernel::KernelView;
use crate::gemm::Finish;
use crate::{Cpu, Error, Isa, Layout, Pool};

/// The sizes of a convolution and the layouts of its maps.
#[derive(Clone, Copy, Debug)]
pub(super) struct Convolution {
    pub(super) shape: ConvShape,
    /// Layout of the maps that are read: the input or, for the gradient with respect to the input, the output's
    /// gradient.
    pub(super) input: Layout,
    /// Layout of the maps that are written; for the gradient with respect to the weights, of the output's gradient,
    /// which is read.
    pub(super) output: Layout,
}

/// Makes a computation ready that writes maps.
pub(super) type Prepare = fn(&Cpu, &Convolution) -> Result<Arc<dyn Plan>, Error>;

/// Makes a gradient with respect to the weights ready, and cuts its pixels into bands.
pub(super) type PrepareGradient = fn(&Cpu, &Convolution, &mut Bands) -> Result<Arc<dyn GradientPlan>, Error>;

/// A method's row in the table of [`super::table`].
pub(super) struct Method {
    /// Name in files of measured choices.
    pub(super) key: &'static str,
    /// Name for people.
    pub(super) name: &'static str,
    /// Weights that a 3x3 kernel has where they are packed, for a pair of channels.
    pub(super) weights: usize,
    /// Bound of the relative error, in the Euclidean norm, of sums in float32.
    pub(super) error: f64,
    /// Products of the definition, where true: nothing is transformed.
    pub(super) plain: bool,
    /// Preference for an input with a border as wide as the padding.
    pub(super) wants_border: bool,
    /// Preference for an output without a border, which is written in strips longer than a row.
    pub(super) long_strips: bool,
    /// Reason for which no later row is looked at where this one applies.
    pub(super) settles: Option<&'static str>,
    /// Applicability to the convolution on an input of that layout, forward and for the weight gradient; or why not.
    pub(super) applies: fn(&ConvShape, &Layout) -> Result<(), &'static str>,
    /// Work, in multiplications; `None` where the method applies and is not worth a thought.
    pub(super) work: fn(&Load) -> Option<f64>,
    /// The convolution. Where [`ConvShape::turned`] gives one, the gradient with respect to the input is computed by
    /// it too.
    pub(super) forward: Prepare,
    /// The gradient with respect to the input of any other convolution; the shape is that convolution's.
    pub(super) by_input: Option<Prepare>,
    /// The gradient with respect to the weights.
    pub(super) by_weights: Option<PrepareGradient>,
}

/// A computation of maps from maps and packed weights, ready to run.
///
/// The weights are floats in an order that the plan alone knows. It is the same for every batch and image size, and
/// for every stride, padding and dilation unless [`Plan::packs_for_reach`].
pub(super) trait Plan: Debug + Send + Sync {
    /// Floats of the packed weights.
    fn weights(&self) -> usize;

    /// Dependence of the order of the weights on stride, padding and dilation.
    fn packs_for_reach(&self) -> bool {
        false
    }

    /// Packs `kernels`, and writes all of `packed`.
    fn pack(&self, workers: Workers<'_>, kernels: KernelView<'_>, packed: &mut [f32]);

    /// Parts of the output that are summed up on their own; 0 where sums are not offered.
    fn bands(&self) -> usize;

    /// Floats of workspace for `threads` threads.
    fn scratch(&self, threads: usize) -> usize;

    /// Computes `y`; lengths have been checked.
    fn run(&self, cpu: &Cpu, operands: Operands<'_>);
}

/// Threads that pack weights, and their instruction set.
#[derive(Clone, Copy)]
pub(super) struct Workers<'a> {
    pub(super) pool: &'a Pool,
    pub(super) isa: Isa,
}

/// Operands of a [`Plan`].
pub(super) struct Operands<'a> {
    pub(super) x: &'a [f32],
    /// Weights that [`Plan::pack`] has packed.
    pub(super) weights: &'a [f32],
    pub(super) finish: &'a Finish<'a>,
    pub(super) y: &'a mut [f32],
    pub(super) scratch: &'a mut [f32],
}

/// A gradient with respect to the weights, ready to run.
pub(super) trait GradientPlan: Debug + Send + Sync {
    /// The input's layout as it is read: that of the maps, or one with a border.
    fn source(&self) -> Layout;

    /// Floats of workspace for `threads` threads.
    fn scratch(&self, threads: usize) -> usize;

    /// Computes all bands of `target` from the input and the output's gradient; lengths have been checked.
    fn run(&self, cpu: &Cpu, x: &[f32], dy: &[f32], target: Target<'_>, scratch: &mut [f32]);
}
