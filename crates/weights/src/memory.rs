//! Memory that a network asks for, before any of it is taken.

use residual_arch::Network;

use crate::error::Error;

/// Refuses a network of which `copies` of the parameters and `images` inputs, all as f32, are more than the memory that
/// is available. To be called before any of it is taken.
///
/// ```
/// use residual_arch::families::family;
/// use residual_weights::require_memory;
///
/// let network = family("small")?.check([3, 32, 32])?;
/// require_memory(&network, 1, 1)?;
/// let error = require_memory(&network, 1, u64::MAX).unwrap_err();
/// assert!(error.to_string().contains("`small` with 696,618 parameters"), "{error}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`Error::NetworkMemory`].
pub fn require_memory(network: &Network, copies: u64, images: u64) -> Result<(), Error> {
    let parameters = network.parameters();
    let image = network.input().iter().fold(1, |product: u64, &side| product.saturating_mul(side as u64));
    let floats = parameters.saturating_mul(copies).saturating_add(image.saturating_mul(images));
    residual_files::require_memory(floats.saturating_mul(size_of::<f32>() as u64))
        .map_err(|cause| Error::NetworkMemory { model: network.spec().name.clone(), parameters, cause })
}
