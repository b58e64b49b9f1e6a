//! Which network is meant: a family member, a written-out one, or that of a trained checkpoint.

use residual::arch::NetSpec;
use residual::arch::shape::flow;
use residual::weights::Architecture;

use super::failure::{Failure, Outcome};
use super::table::thousands;

/// The network that `model` names: a family member, `SPEC.toml`, `SPEC.json`, or a trained
/// checkpoint.
pub(crate) fn specification(model: &str) -> Outcome<NetSpec> {
    Ok(Architecture::from(model).specification()?)
}

/// The network of `SPEC.toml` or `SPEC.json`; `None` where `model` is no such file's name.
pub(crate) fn written_out(model: &str) -> Outcome<Option<NetSpec>> {
    Ok(if NetSpec::is_file_name(model) { Some(NetSpec::read(model)?) } else { None })
}

/// Refuses a network, before it is built, of which `copies` of the parameters and `images` inputs are more than the
/// memory that there is.
pub(crate) fn require_memory(spec: &NetSpec, copies: u64, images: u64) -> Outcome {
    let parameters = flow(spec, spec.input)?.parameters;
    let image = spec.input.iter().fold(1, |product: u64, &side| product.saturating_mul(side as u64));
    let floats = parameters.saturating_mul(copies).saturating_add(image.saturating_mul(images));
    residual_files::require_memory(floats.saturating_mul(4)).map_err(|error| {
        let what = format_args!("`{}` with {} parameters", spec.name, thousands(parameters));
        Failure::from(error).within(what)
    })
}
