//! Batch norm with running statistics, and the ReLU behind it, in one pass: `y = relu(scale x + shift)`.

use std::sync::Arc;

use residual_kernels::norm::{apply, apply_workspace};
use residual_kernels::{Cpu, Epilogue, Error as KernelError, MapsMut, MapsRef};

use super::{Executable, MapLayouts, Operation, OperationMemory, Prepared, Site};
use crate::parameters::Affine;

/// The batch norm of a pre-activation block where it cannot be folded into a convolution, and the ReLU where one is
/// behind it.
#[derive(Debug)]
pub(crate) struct Normalise {
    pub(crate) affine: Arc<Affine>,
    pub(crate) relu: bool,
}

impl Operation for Normalise {
    fn prepare(&self, site: &Site<'_>) -> Result<Prepared, KernelError> {
        let affine = Arc::clone(&self.affine);
        let workspace = apply_workspace(&site.maps.output);
        Ok(Prepared::ready(workspace, ReadyNormalise { affine, relu: self.relu, maps: site.maps }))
    }
}

#[derive(Debug)]
struct ReadyNormalise {
    affine: Arc<Affine>,
    relu: bool,
    maps: MapLayouts,
}

impl Executable for ReadyNormalise {
    fn kernel(&self) -> String {
        if self.relu { "batch norm and ReLU" } else { "batch norm" }.into()
    }

    fn run(&self, cpu: &Cpu, memory: OperationMemory<'_>) -> Result<(), KernelError> {
        let (scale, shift) = (Some(&self.affine.scale[..]), Some(&self.affine.shift[..]));
        let epilogue = Epilogue { scale, shift, residual: None, relu: self.relu };
        let OperationMemory { x, y, workspace, .. } = memory;
        apply(cpu, MapsRef::new(x, self.maps.input), &epilogue, MapsMut::new(y, self.maps.output), workspace)
    }
}
