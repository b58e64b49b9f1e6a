//! Average pooling.

use residual_kernels::pool::{self, Pooling};
use residual_kernels::{Cpu, Error as KernelError, MapsMut, MapsRef};

use super::{Executable, MapLayouts, Operation, OperationMemory, Prepared, Site};

/// Average pooling without padding.
#[derive(Debug)]
pub(crate) struct AveragePool {
    pub(crate) pool: residual_arch::AveragePool,
}

impl Operation for AveragePool {
    fn prepare(&self, site: &Site<'_>) -> Result<Prepared, KernelError> {
        let maps = site.maps;
        let size = [maps.input.height(), maps.input.width()];
        let [kernel, stride] = [self.pool.kernel, self.pool.stride].map(|side| [side; 2]);
        let windows = match self.pool.overhang {
            true => Pooling::overhanging(size, kernel, stride)?,
            false => Pooling::windows(size, kernel, stride, [0; 2])?,
        };
        Ok(Prepared::ready(0, ReadyAveragePool { maps, windows }))
    }
}

#[derive(Debug)]
struct ReadyAveragePool {
    maps: MapLayouts,
    windows: Pooling,
}

impl Executable for ReadyAveragePool {
    fn kernel(&self) -> String {
        "average pool".into()
    }

    fn run(&self, cpu: &Cpu, memory: OperationMemory<'_>) -> Result<(), KernelError> {
        pool::average(
            cpu,
            &self.windows,
            MapsRef::new(memory.x, self.maps.input),
            MapsMut::new(memory.y, self.maps.output),
        )
    }
}
