//! Max pooling.

use std::ops::Range;

use residual_arch::MaxPool as MaxPoolSpec;
use residual_kernels::pool::{self, Pooling};
use residual_kernels::{Cpu, Error as KernelError, MapsMut, MapsRef};

use super::{Executable, MapLayouts, Operation, OperationMemory, Prepared, Site};
use crate::steps::StepKind;

/// The max pooling of a stem.
#[derive(Debug)]
pub(crate) struct MaxPool {
    pub(crate) pool: MaxPoolSpec,
}

impl Operation for MaxPool {
    fn step(&self) -> StepKind {
        StepKind::Copy
    }

    fn max_pool(&self) -> Option<MaxPoolSpec> {
        Some(self.pool)
    }

    fn prepare(&self, site: &Site<'_>) -> Result<Prepared, KernelError> {
        let (maps, pool) = (site.maps, self.pool);
        let size = [maps.input.height(), maps.input.width()];
        let windows = Pooling::windows(size, [pool.kernel; 2], [pool.stride; 2], [pool.padding; 2])?;
        Ok(Prepared::ready(0, ReadyMaxPool { maps, windows, pool }))
    }
}

#[derive(Debug)]
struct ReadyMaxPool {
    maps: MapLayouts,
    windows: Pooling,
    pool: MaxPoolSpec,
}

impl Executable for ReadyMaxPool {
    fn kernel(&self) -> String {
        "max pool".into()
    }

    fn run(&self, cpu: &Cpu, memory: OperationMemory<'_>) -> Result<(), KernelError> {
        let OperationMemory { x, y, .. } = memory;
        let (input, output) = (self.maps.input, self.maps.output);
        pool::maximum(cpu, &self.windows, MapsRef::new(x, input), MapsMut::new(y, output))?;
        if self.pool.zeros {
            self.clamp_edges(y);
        }
        Ok(())
    }
}

impl ReadyMaxPool {
    /// Raises to zero what is below it where a window has some of the padding: the maximum with zeros around the map.
    fn clamp_edges(&self, y: &mut [f32]) {
        let (input, output) = (self.maps.input, self.maps.output);
        let rows = self.inside(input.height(), output.height());
        let columns = self.inside(input.width(), output.width());
        for (n, block) in (0..output.batch()).flat_map(|n| (0..output.blocks()).map(move |block| (n, block)))
        {
            for row in 0..output.height() {
                let edge = !rows.contains(&row);
                for column in (0..output.width()).filter(|column| edge || !columns.contains(column)) {
                    let at = output.index(n, block, row, column);
                    // A NaN stays one.
                    y[at..at + output.block()].iter_mut().filter(|y| **y < 0.0).for_each(|y| *y = 0.0);
                }
            }
        }
    }

    /// The outputs along a side whose windows hold nothing of the padding.
    fn inside(&self, side: usize, outputs: usize) -> Range<usize> {
        let MaxPoolSpec { kernel, stride, padding, .. } = self.pool;
        let end = (side + padding).checked_sub(kernel).map_or(0, |last| last / stride + 1);
        padding.div_ceil(stride)..end.min(outputs)
    }
}
