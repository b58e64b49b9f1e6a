//! Blur pooling.

use residual_kernels::{Cpu, Error as KernelError, MapsMut, MapsRef, pool};

use super::{Executable, MapLayouts, Operation, OperationMemory, Prepared, Site};

/// Blur pool: a binomial filter with a stride (Zhang 2019).
#[derive(Debug)]
pub(crate) struct BlurPool {
    pub(crate) stride: usize,
}

impl Operation for BlurPool {
    fn prepare(&self, site: &Site<'_>) -> Result<Prepared, KernelError> {
        Ok(Prepared::ready(0, ReadyBlurPool { maps: site.maps, stride: self.stride }))
    }
}

#[derive(Debug)]
struct ReadyBlurPool {
    maps: MapLayouts,
    stride: usize,
}

impl Executable for ReadyBlurPool {
    fn kernel(&self) -> String {
        "blur pool".into()
    }

    fn run(&self, cpu: &Cpu, memory: OperationMemory<'_>) -> Result<(), KernelError> {
        pool::blur(
            cpu,
            self.stride,
            MapsRef::new(memory.x, self.maps.input),
            MapsMut::new(memory.y, self.maps.output),
        )
    }
}
