//! Blur pool.

use burn::tensor::{Tensor, ops::PadMode, s};
use residual_arch::BlurPool;

/// Blur pool (Zhang 2019): the filter `[1, 2, 1]^T [1, 2, 1] / 16` by channel with a stride, padded by one row and
/// column of reflection. Rows first, then columns.
///
/// # Shapes
/// `[batch, c, h, w]` to `[batch, c, ceil(h / stride), ceil(w / stride)]`.
pub(crate) fn blur_pool(x: Tensor<4>, pool: BlurPool) -> Tensor<4> {
    let [_, _, height, width] = x.dims();
    let x = x.pad([(1, 1), (1, 1)], PadMode::Reflect);
    let step = pool.stride as isize;
    let tap = |x: &Tensor<4>, at: usize| x.clone().slice(s![.., .., at..at + height;step, ..]);
    let x = (tap(&x, 0) + tap(&x, 1) * 2.0 + tap(&x, 2)) * 0.25;
    let tap = |x: &Tensor<4>, at: usize| x.clone().slice(s![.., .., .., at..at + width;step]);
    (tap(&x, 0) + tap(&x, 1) * 2.0 + tap(&x, 2)) * 0.25
}
