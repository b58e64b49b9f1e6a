//! The life of an operation: a node of a graph, prepared for maps of one batch size, ready to run.

use std::fmt::{Debug, Display};

use residual_arch::{Convolution, LayerPath, MaxPool};
use residual_kernels::{Algorithm, Cpu, Error as KernelError, Layout};

use super::WeightPacker;
use crate::error::Error;
use crate::steps::StepKind;

/// An operation between feature maps, for any number of images.
pub(crate) trait Operation: Debug + Send + Sync {
    /// Padding of the input: the rows and columns of zeros that it reads around a map.
    fn padding(&self) -> usize {
        0
    }

    /// The convolution that it computes, for which an algorithm is chosen; `None` for other operations.
    fn convolution(&self) -> Option<&Convolution> {
        None
    }

    /// Part that it plays in a network of 8 bits.
    fn step(&self) -> StepKind {
        StepKind::Other
    }

    /// Bytes of packed weights, where it is no [`convolution`](Self::convolution).
    fn weight_bytes(&self) -> usize {
        0
    }

    /// The max pool that it computes.
    fn max_pool(&self) -> Option<MaxPool> {
        None
    }

    /// Conversion of a map's elements, which changes no values.
    fn is_conversion(&self) -> bool {
        false
    }

    /// Plans it for the maps at `site`.
    ///
    /// # Errors
    /// Those of the kernel, for maps that it does not take.
    fn prepare(&self, site: &Site<'_>) -> Result<Prepared, KernelError>;
}

/// The surroundings of an operation in a graph for one batch size.
pub(crate) struct Site<'a> {
    pub(crate) cpu: &'a Cpu,
    pub(crate) path: LayerPath,
    pub(crate) maps: MapLayouts,
    /// Algorithm of a convolution.
    pub(crate) algorithm: Option<Algorithm>,
}

/// Layouts of the maps that an operation reads and writes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MapLayouts {
    pub(crate) input: Layout,
    pub(crate) output: Layout,
    /// Layout of the map that is added to the result.
    pub(crate) residual: Option<Layout>,
}

/// Packs the weights of a prepared operation where it has any.
type Load = dyn FnOnce(&mut WeightPacker<'_>) -> Result<Box<dyn Executable>, Error>;

/// An operation planned for one batch size, whose weights are not packed yet: so that the memory of a plan is known
/// before any of it is taken.
pub(crate) struct Prepared {
    workspace: usize,
    load: Box<Load>,
}

impl Prepared {
    /// An operation that has no weights to pack, with `workspace` floats.
    pub(crate) fn ready(workspace: usize, operation: impl Executable + 'static) -> Self {
        Self::with_weights(workspace, |_| Ok(Box::new(operation)))
    }

    /// An operation that `load` makes once its weights are packed, with `workspace` floats.
    pub(crate) fn with_weights(
        workspace: usize,
        load: impl FnOnce(&mut WeightPacker<'_>) -> Result<Box<dyn Executable>, Error> + 'static,
    ) -> Self {
        Self { workspace, load: Box::new(load) }
    }

    /// Floats of workspace.
    pub(crate) fn workspace(&self) -> usize {
        self.workspace
    }

    /// The operation with its weights.
    ///
    /// # Errors
    /// Those of [`WeightPacker::packed`].
    pub(crate) fn load(self, packer: &mut WeightPacker<'_>) -> Result<Box<dyn Executable>, Error> {
        (self.load)(packer)
    }
}

/// An operation that is ready to run on a batch of one size.
pub(crate) trait Executable: Debug + Send + Sync {
    /// Kernel that computes it, for people.
    fn kernel(&self) -> String;

    /// Multiplications and additions of a direct computation for one image; 0 where none are counted.
    fn operations(&self) -> f64 {
        0.0
    }

    /// Computes the output.
    ///
    /// # Errors
    /// Those of the kernel.
    fn run(&self, cpu: &Cpu, memory: OperationMemory<'_>) -> Result<(), KernelError>;
}

/// The memory that an operation runs on.
pub(crate) struct OperationMemory<'a> {
    pub(crate) x: &'a [f32],
    pub(crate) residual: Option<&'a [f32]>,
    pub(crate) y: &'a mut [f32],
    pub(crate) workspace: &'a mut [f32],
}

/// The end of a fused operation: `y = act(z + residual)`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Join {
    pub(crate) residual: Option<Layout>,
    pub(crate) relu: bool,
}

impl Join {
    /// `KERNEL + residual + ReLU`
    pub(crate) fn describe(&self, kernel: impl Display) -> String {
        let residual = if self.residual.is_some() { " + residual" } else { "" };
        format!("{kernel}{residual}{}", if self.relu { " + ReLU" } else { "" })
    }
}

/// The layout of a single image of blocked maps.
pub(crate) fn single(layout: &Layout) -> Result<Layout, KernelError> {
    Layout::blocked(1, layout.channels(), layout.height(), layout.width())?.with_border(layout.border())
}
