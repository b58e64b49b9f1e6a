//! Zero-padded shortcut: option A of He et al. 2015.

use residual_kernels::eltwise::zero_pad;
use residual_kernels::{Cpu, Error as KernelError, MapsMut, MapsRef};

use super::{Executable, MapLayouts, Operation, OperationMemory, Prepared, Site};
use crate::steps::StepKind;

/// Zero-padded copy: every `stride`-th pixel, after `before` channels of zeros.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ZeroPad {
    pub(crate) stride: usize,
    pub(crate) before: usize,
}

impl Operation for ZeroPad {
    fn step(&self) -> StepKind {
        StepKind::Copy
    }

    fn prepare(&self, site: &Site<'_>) -> Result<Prepared, KernelError> {
        Ok(Prepared::ready(0, ReadyZeroPad { pad: *self, maps: site.maps }))
    }
}

#[derive(Debug)]
struct ReadyZeroPad {
    pad: ZeroPad,
    maps: MapLayouts,
}

impl Executable for ReadyZeroPad {
    fn kernel(&self) -> String {
        "zero-padded copy".into()
    }

    fn run(&self, cpu: &Cpu, memory: OperationMemory<'_>) -> Result<(), KernelError> {
        let ZeroPad { stride, before } = self.pad;
        zero_pad(
            cpu,
            MapsRef::new(memory.x, self.maps.input),
            stride,
            before,
            MapsMut::new(memory.y, self.maps.output),
        )
    }
}
