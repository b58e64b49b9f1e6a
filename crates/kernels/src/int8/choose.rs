//! Whether a convolution is faster with bytes than with floats.

use super::{Conv, DotProduct};
use crate::conv::forward_work;
use crate::{ConvShape, Cpu, Layout};

/// True where the convolution `shape`, whose input would lie as `input` in floats, has a kernel of bytes, and that is faster
/// than float32's fastest method on this instruction set. So 3x3 kernels of large maps stay in float32, by Winograd, where
/// the machine has no VNNI.
pub fn is_faster(cpu: &Cpu, shape: &ConvShape, input: &Layout, narrow: bool) -> bool {
    let products = DotProduct::of(cpu.isa()).products(narrow);
    match (Conv::supports(shape), forward_work(shape, input)) {
        (Ok(()), Ok([least, direct])) => direct / products < least,
        _ => false,
    }
}
