//! Networks that do not fit into memory.

use residual_arch::{NetSpec, tensors};

use crate::error::Error;

/// Bytes of all tensors of a network as f32, its running statistics among them.
///
/// ```
/// let spec = residual_arch::families::family("resnet50")?;
/// assert_eq!(residual_weights::parameter_bytes(&spec) / 1_000_000, 102);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn parameter_bytes(spec: &NetSpec) -> u64 {
    let elements = |shape: &[usize]| shape.iter().fold(1u64, |n, &extent| n.saturating_mul(extent as u64));
    let all = tensors(spec).into_iter().map(|tensor| elements(&tensor.shape));
    all.fold(0u64, u64::saturating_add).saturating_mul(4)
}

/// Refusal of a network whose tensors, `copies` times in memory, need more than there is; before any of it is taken.
/// One copy is for prediction, four are for training: weights, gradients, momentum and what is being saved.
///
/// # Errors
/// [`Error::NetworkTooLarge`], with the network's size.
pub fn require_memory_for(spec: &NetSpec, copies: u64) -> Result<(), Error> {
    let parameters = parameter_bytes(spec);
    residual_files::require_memory(parameters.saturating_mul(copies))
        .map_err(|cause| Error::NetworkTooLarge { model: spec.name.clone(), parameters, cause })
}

#[cfg(test)]
mod tests {
    use residual_arch::families::family;

    use super::*;

    #[test]
    fn a_network_too_large_is_refused_with_its_size() {
        let small = family("small").unwrap();
        require_memory_for(&small, 4).unwrap();
        for classes in [1 << 40, usize::MAX] {
            let error = require_memory_for(&small.clone().with_classes(classes), 1).unwrap_err();
            let text = error.to_string();
            assert!(text.contains("`small` has parameters of") && text.contains("are available"), "{text}");
        }
    }
}
