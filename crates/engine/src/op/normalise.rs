//! Batch norm with running statistics and ReLU in one pass: `y = relu(scale x + shift)`.

use std::sync::Arc;

use residual_kernels::norm::{apply, apply_workspace};
use residual_kernels::{Cpu, Epilogue, Error as KernelError, MapsMut, MapsRef};

use super::{Executable, MapLayouts, Operation, OperationMemory, Prepared, Site};
use crate::parameters::Affine;

/// The batch norm of a pre-activation block where it cannot be folded into a convolution, and the ReLU behind it.
#[derive(Debug)]
pub(crate) struct NormaliseRelu {
    pub(crate) affine: Arc<Affine>,
}

impl Operation for NormaliseRelu {
    fn prepare(&self, site: &Site<'_>) -> Result<Prepared, KernelError> {
        let affine = Arc::clone(&self.affine);
        let workspace = apply_workspace(&site.maps.output);
        Ok(Prepared::ready(workspace, ReadyNormaliseRelu { affine, maps: site.maps }))
    }
}

#[derive(Debug)]
struct ReadyNormaliseRelu {
    affine: Arc<Affine>,
    maps: MapLayouts,
}

impl Executable for ReadyNormaliseRelu {
    fn kernel(&self) -> String {
        "batch norm and ReLU".into()
    }

    fn run(&self, cpu: &Cpu, memory: OperationMemory<'_>) -> Result<(), KernelError> {
        let (scale, shift) = (Some(&self.affine.scale[..]), Some(&self.affine.shift[..]));
        let epilogue = Epilogue { scale, shift, residual: None, relu: true };
        let OperationMemory { x, y, workspace, .. } = memory;
        apply(cpu, MapsRef::new(x, self.maps.input), &epilogue, MapsMut::new(y, self.maps.output), workspace)
    }
}
