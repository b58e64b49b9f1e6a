//! Shapes in a few characters, for tables.

/// `64x56x56`.
pub(crate) fn shape(shape: &[usize]) -> String {
    shape.iter().map(ToString::to_string).collect::<Vec<_>>().join("x")
}
