//! Constants of normalisations.

/// Added to the variance by every norm of a specification, as PyTorch's do.
pub(crate) const EPSILON: f64 = 1e-5;
