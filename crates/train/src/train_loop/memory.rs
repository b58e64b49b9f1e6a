//! Memory that a training asks for, checked before any of it is taken.

use residual_arch::NetSpec;
use residual_arch::shape::flow;
use residual_files::require_memory;

use crate::{Error, Recipe};

/// Bytes of an f32.
const FLOAT: u128 = 4;

/// Memory check of a network: refuses one whose weights, gradients and velocities alone are more than the memory that
/// is available. To be called before the network is built.
///
/// # Errors
/// [`Error::Memory`]; [`Error::Network`] for a network that cannot be.
pub fn require_memory_of_network(spec: &NetSpec) -> Result<(), Error> {
    let parameters = flow(spec, spec.input)?.parameters;
    // The file that is written holds weights and velocities; its tensors are copies.
    let what = format!("`{}` with {parameters} parameters, their gradients and velocities", spec.name);
    require(what, u128::from(parameters) * 3 * FLOAT, "choose a smaller network")
}

/// Memory check of a step: refuses one that needs more memory than is available: the weights as above, the images, and
/// what each block gives, once with `low_memory` and twice without. Less is not possible; more may be needed.
///
/// `image` is the size of an image, where it is known to be another than the network's input.
///
/// # Errors
/// [`Error::Memory`]; [`Error::Network`].
pub fn require_memory_to_train(
    spec: &NetSpec,
    image: Option<[usize; 3]>,
    batch: usize,
    recipe: &Recipe,
) -> Result<(), Error> {
    require_memory_of_network(spec)?;
    let image = image.unwrap_or(spec.input);
    let flow = flow(spec, image)?;
    let kept: u128 = flow.rows.iter().map(|row| product(row.output)).sum();
    let copies = if recipe.low_memory { 1 } else { 2 };
    let floats = batch as u128 * (product(image) + copies * kept) + 3 * u128::from(flow.parameters);
    let [channels, height, width] = image;
    let what = format!("a step of {batch} images of {channels}x{height}x{width} through `{}`", spec.name);
    require(what, floats * FLOAT, "choose a smaller batch (--batch-size), or --memory low")
}

/// Memory check of an evaluation: refuses one of more images at a time than there is memory for.
pub(crate) fn require_memory_to_evaluate(
    spec: &NetSpec,
    image: Option<[usize; 3]>,
    batch: usize,
) -> Result<(), Error> {
    let image = image.unwrap_or(spec.input);
    let flow = flow(spec, image)?;
    let floats = batch as u128 * (product(image) + product(flow.output)) + u128::from(flow.parameters);
    let [channels, height, width] = image;
    let what = format!("an evaluation of {batch} images of {channels}x{height}x{width} at a time");
    require(what, floats * FLOAT, "choose a smaller eval_batch_size in the recipe")
}

fn product(extents: [usize; 3]) -> u128 {
    extents.iter().map(|&extent| extent as u128).product()
}

fn require(what: String, bytes: u128, help: &'static str) -> Result<(), Error> {
    require_memory(u64::try_from(bytes).unwrap_or(u64::MAX)).map_err(|cause| Error::Memory {
        what,
        cause,
        help,
    })
}

#[cfg(test)]
mod tests {
    use residual_arch::families::family;

    use super::*;

    #[test]
    fn what_fits_is_not_refused_and_what_cannot_is_with_its_size() {
        let small = family("small").unwrap();
        let recipe = Recipe::default();
        assert!(require_memory_to_train(&small, None, 1, &recipe).is_ok());
        assert!(require_memory_to_evaluate(&small, None, 1).is_ok());
        let error = require_memory_to_train(&small, None, 1 << 40, &recipe).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("1099511627776 images of 3x32x32") && text.contains("--batch-size"), "{text}");
        let error = require_memory_to_evaluate(&small, None, 1 << 40).unwrap_err();
        assert!(error.to_string().contains("eval_batch_size"), "{error}");
        let wide = small.with_classes(1 << 40);
        let error = require_memory_of_network(&wide).unwrap_err();
        assert!(matches!(error, Error::Memory { .. }) && error.to_string().contains("parameters"), "{error}");
    }
}
