//! Max pooling.

use residual_arch::MaxPool as MaxPoolSpec;
use residual_kernels::pool::{self, Pooling};
use residual_kernels::{Cpu, Error as KernelError, MapsMut, MapsRef};

use super::{Executable, MapLayouts, Operation, OperationMemory, Prepared, Site};

/// The max pooling of a stem.
#[derive(Debug)]
pub(crate) struct MaxPool {
    pub(crate) pool: MaxPoolSpec,
}

impl Operation for MaxPool {
    fn prepare(&self, site: &Site<'_>) -> Result<Prepared, KernelError> {
        let (maps, pool) = (site.maps, self.pool);
        let size = [maps.input.height(), maps.input.width()];
        let windows = Pooling::windows(size, [pool.kernel; 2], [pool.stride; 2], [pool.padding; 2])?;
        Ok(Prepared::ready(0, ReadyMaxPool { maps, windows }))
    }
}

#[derive(Debug)]
struct ReadyMaxPool {
    maps: MapLayouts,
    windows: Pooling,
}

impl Executable for ReadyMaxPool {
    fn kernel(&self) -> String {
        "max pool".into()
    }

    fn run(&self, cpu: &Cpu, memory: OperationMemory<'_>) -> Result<(), KernelError> {
        pool::maximum(
            cpu,
            &self.windows,
            MapsRef::new(memory.x, self.maps.input),
            MapsMut::new(memory.y, self.maps.output),
        )
    }
}
