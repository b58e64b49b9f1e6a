//! Conversions between maps of floats and of bytes.

use residual_kernels::int8::{self, Affine};
use residual_kernels::{Cpu, Error as KernelError};

use super::{Executable, MapLayouts, Operation, OperationMemory, Prepared, Site};
use crate::quantised::MapScale;

/// Direction of a conversion.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Conversion {
    /// Normalised images to bytes, interleaved.
    ImagesToBytes(MapScale),
    /// Floats to bytes.
    ToBytes(MapScale),
    /// Bytes to floats.
    ToFloats(MapScale),
}

impl Operation for Conversion {
    fn is_conversion(&self) -> bool {
        true
    }

    fn prepare(&self, site: &Site<'_>) -> Result<Prepared, KernelError> {
        Ok(Prepared::ready(0, ReadyConversion { conversion: *self, maps: site.maps }))
    }
}

#[derive(Debug)]
struct ReadyConversion {
    conversion: Conversion,
    maps: MapLayouts,
}

impl Executable for ReadyConversion {
    fn kernel(&self) -> String {
        match self.conversion {
            Conversion::ImagesToBytes(_) | Conversion::ToBytes(_) => "float32 to int8".into(),
            Conversion::ToFloats(_) => "int8 to float32".into(),
        }
    }

    fn run(&self, cpu: &Cpu, memory: OperationMemory<'_>) -> Result<(), KernelError> {
        let OperationMemory { x, y, .. } = memory;
        let MapLayouts { input: from, output: to, .. } = self.maps;
        match self.conversion {
            Conversion::ImagesToBytes(scale) => int8::quantise_images(cpu, (x, from), to, y, affine(scale)),
            Conversion::ToBytes(scale) => int8::quantise(cpu, (x, from), to, y, affine(scale)),
            Conversion::ToFloats(scale) => {
                int8::dequantise(cpu, (int8::bytes(x), from), to, y, affine(scale))
            }
        }
    }
}

/// The scale as the kernels take it.
pub(crate) fn affine(MapScale { scale, zero }: MapScale) -> Affine {
    Affine { scale, zero }
}
