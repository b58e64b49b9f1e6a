//! Kernels of one tap: a matrix product over pixels.

use super::direct::DIRECT;
use super::method::Method;

/// [`DIRECT`] where the kernel has one tap: pixels without a border lie one behind the other, row after row, and are
/// computed as one strip.
pub(super) const POINTWISE: Method = Method {
    key: "pointwise",
    name: "pointwise",
    long_strips: true,
    settles: Some("the kernel has one tap"),
    applies: |shape, _| if shape.taps() == 1 { Ok(()) } else { Err("the kernel has many taps") },
    by_input: None,
    ..DIRECT
};
