//! The element types that files hold, and their conversion to f32.

/// The type of a stored element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ElementType {
    F64,
    F32,
    F16,
    Bf16,
    I64,
    I32,
    I16,
    I8,
    U64,
    U32,
    U16,
    U8,
    Bool,
}

/// The order of the bytes of a stored element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ByteOrder {
    Little,
    Big,
}

impl ByteOrder {
    /// This machine's.
    pub(crate) const HERE: Self = if cfg!(target_endian = "big") { Self::Big } else { Self::Little };
}

impl ElementType {
    /// Bytes per element.
    pub(crate) fn size(self) -> usize {
        match self {
            Self::F64 | Self::I64 | Self::U64 => 8,
            Self::F32 | Self::I32 | Self::U32 => 4,
            Self::F16 | Self::Bf16 | Self::I16 | Self::U16 => 2,
            Self::I8 | Self::U8 | Self::Bool => 1,
        }
    }

    /// Name of a type of whole numbers; `None` for floats.
    pub(crate) fn whole(self) -> Option<&'static str> {
        let is_float = matches!(self, Self::F64 | Self::F32 | Self::F16 | Self::Bf16);
        (!is_float).then(|| self.name())
    }

    /// PyTorch's name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::F64 => "float64",
            Self::F32 => "float32",
            Self::F16 => "float16",
            Self::Bf16 => "bfloat16",
            Self::I64 => "int64",
            Self::I32 => "int32",
            Self::I16 => "int16",
            Self::I8 => "int8",
            Self::U64 => "uint64",
            Self::U32 => "uint32",
            Self::U16 => "uint16",
            Self::U8 => "uint8",
            Self::Bool => "bool",
        }
    }

    /// Converts packed elements to f32. Values that f32 lacks are rounded to nearest, ties to even (too
    /// large ones become infinite); f32 itself keeps its bits. A trailing part of an element is ignored.
    pub(crate) fn decode(self, bytes: &[u8], order: ByteOrder) -> Vec<f32> {
        match self {
            Self::F32 if order == ByteOrder::HERE => {
                let mut elements = vec![0.0_f32; bytes.len() / self.size()];
                let copy = bytemuck::cast_slice_mut(&mut elements);
                copy.copy_from_slice(&bytes[..copy.len()]);
                elements
            }
            Self::F64 => convert(bytes, order, |b| f64::from_le_bytes(b) as f32),
            Self::F32 => convert(bytes, order, f32::from_le_bytes),
            Self::F16 => convert(bytes, order, |b| f16_to_f32(u16::from_le_bytes(b))),
            Self::Bf16 => convert(bytes, order, |b| f32::from_bits(u32::from(u16::from_le_bytes(b)) << 16)),
            Self::I64 => convert(bytes, order, |b| i64::from_le_bytes(b) as f32),
            Self::I32 => convert(bytes, order, |b| i32::from_le_bytes(b) as f32),
            Self::I16 => convert(bytes, order, |b| f32::from(i16::from_le_bytes(b))),
            Self::I8 => convert(bytes, order, |b| f32::from(i8::from_le_bytes(b))),
            Self::U64 => convert(bytes, order, |b| u64::from_le_bytes(b) as f32),
            Self::U32 => convert(bytes, order, |b| u32::from_le_bytes(b) as f32),
            Self::U16 => convert(bytes, order, |b| f32::from(u16::from_le_bytes(b))),
            Self::U8 => convert(bytes, order, |b: [u8; 1]| f32::from(b[0])),
            Self::Bool => convert(bytes, order, |b: [u8; 1]| if b[0] == 0 { 0.0 } else { 1.0 }),
        }
    }
}

fn convert<const N: usize>(bytes: &[u8], order: ByteOrder, to_f32: impl Fn([u8; N]) -> f32) -> Vec<f32> {
    let (elements, _) = bytes.as_chunks::<N>();
    let little = |mut element: [u8; N]| {
        if order == ByteOrder::Big {
            element.reverse();
        }
        element
    };
    elements.iter().map(|&element| to_f32(little(element))).collect()
}

/// IEEE 754 binary16 to binary32, exact.
fn f16_to_f32(half: u16) -> f32 {
    let sign = u32::from(half >> 15) << 31;
    let exponent = u32::from(half >> 10) & 0x1f;
    let mantissa = u32::from(half) & 0x3ff;
    let magnitude = match exponent {
        // Zero and subnormals: mantissa * 2^-24, which binary32 holds exactly.
        0 => (mantissa as f32 * 2f32.powi(-24)).to_bits(),
        0x1f => 0x7f80_0000 | mantissa << 13,
        _ => (exponent + 112) << 23 | mantissa << 13,
    };
    f32::from_bits(sign | magnitude)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_half_is_exact() {
        for half in 0..=u16::MAX {
            let (exponent, mantissa) = ((half >> 10) & 0x1f, f64::from(half & 0x3ff));
            let magnitude = match exponent {
                0 => mantissa * 2f64.powi(-24),
                0x1f if mantissa == 0.0 => f64::INFINITY,
                0x1f => f64::NAN,
                e => (1.0 + mantissa / 1024.0) * 2f64.powi(i32::from(e) - 15),
            };
            let expected = if half >> 15 == 1 { -magnitude } else { magnitude };
            let got = f64::from(f16_to_f32(half));
            assert!(got == expected && got.is_sign_negative() == expected.is_sign_negative() || got.is_nan());
            assert_eq!(got.is_nan(), expected.is_nan());
        }
    }

    #[test]
    fn wider_types_round_to_nearest_even() {
        let decode = |element: ElementType, bytes: &[u8]| element.decode(bytes, ByteOrder::Little);
        let f64s = [1.0 + 2f64.powi(-24), 1.0 + 3.0 * 2f64.powi(-24), 1e300];
        let bytes: Vec<u8> = f64s.iter().flat_map(|v| v.to_le_bytes()).collect();
        assert_eq!(decode(ElementType::F64, &bytes), [1.0, 1.0 + 2f32.powi(-22), f32::INFINITY]);
        assert_eq!(decode(ElementType::I64, &((1i64 << 24) + 1).to_le_bytes()), [16_777_216.0]);
        assert_eq!(decode(ElementType::I64, &(-7i64).to_le_bytes()), [-7.0]);
        assert_eq!(decode(ElementType::Bf16, &[0x80, 0x3f]), [1.0]);
        assert_eq!(decode(ElementType::Bool, &[0, 1, 2]), [0.0, 1.0, 1.0]);
        assert_eq!(decode(ElementType::I8, &[0xff]), [-1.0]);
    }

    #[test]
    fn byte_order_is_honoured() {
        let big = 1.5f32.to_be_bytes();
        assert_eq!(ElementType::F32.decode(&big, ByteOrder::Big), [1.5]);
        assert_eq!(ElementType::I16.decode(&[0x01, 0x00], ByteOrder::Big), [256.0]);
    }

    #[test]
    fn a_signalling_nan_keeps_its_bits() {
        let bits = 0x7f80_0001u32;
        let decoded = ElementType::F32.decode(&bits.to_le_bytes(), ByteOrder::Little);
        assert_eq!(decoded[0].to_bits(), bits);
    }
}
