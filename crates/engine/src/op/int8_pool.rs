//! Max pooling of bytes.

use residual_arch::MaxPool as MaxPoolSpec;
use residual_kernels::pool::Pooling;
use residual_kernels::{Cpu, Error as KernelError, int8};

use super::{Executable, MapLayouts, Operation, OperationMemory, Prepared, Site};
use crate::steps::StepKind;

/// The max pooling of a stem, of bytes: their order is that of the numbers they stand for.
#[derive(Debug)]
pub(crate) struct Int8MaxPool {
    pub(crate) pool: MaxPoolSpec,
    /// The byte that stands for 0.
    pub(crate) zero: u8,
}

impl Operation for Int8MaxPool {
    fn step(&self) -> StepKind {
        StepKind::Copy
    }

    fn prepare(&self, site: &Site<'_>) -> Result<Prepared, KernelError> {
        let (maps, pool) = (site.maps, self.pool);
        let size = [maps.input.height(), maps.input.width()];
        let windows = Pooling::windows(size, [pool.kernel; 2], [pool.stride; 2], [pool.padding; 2])?;
        Ok(Prepared::ready(0, ReadyInt8MaxPool { maps, windows, zero: self.zero }))
    }
}

#[derive(Debug)]
struct ReadyInt8MaxPool {
    maps: MapLayouts,
    windows: Pooling,
    zero: u8,
}

impl Executable for ReadyInt8MaxPool {
    fn kernel(&self) -> String {
        "int8 max pool".into()
    }

    fn run(&self, cpu: &Cpu, memory: OperationMemory<'_>) -> Result<(), KernelError> {
        let OperationMemory { x, y, .. } = memory;
        let (from, to) = (self.maps.input, self.maps.output);
        int8::maximum(cpu, &self.windows, (int8::bytes(x), from), (y, to), self.zero)
    }
}
