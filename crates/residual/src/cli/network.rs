//! Which network is meant: a family member, a written-out one, or that of a trained checkpoint.

use std::path::Path;

use residual::arch::NetSpec;
use residual::arch::families::family;
use residual::arch::shape::flow;
use residual::weights::Checkpoint;
use residual_files::{MAX_TEXT, read_text};

use super::failure::{Failure, Outcome};
use super::table::thousands;

/// The network that `model` names: a family member, `SPEC.toml`, `SPEC.json`, or a trained
/// checkpoint.
pub(crate) fn specification(model: &str) -> Outcome<NetSpec> {
    if let Some(spec) = written_out(model)? {
        return Ok(spec);
    }
    if has_extension(model, &["safetensors"]) {
        return Ok(Checkpoint::read(model)?.spec);
    }
    Ok(family(model)?)
}

/// The network of `SPEC.toml` or `SPEC.json`; `None` where `model` is no such file's name.
pub(crate) fn written_out(model: &str) -> Outcome<Option<NetSpec>> {
    let parse = match () {
        () if has_extension(model, &["toml"]) => NetSpec::from_toml,
        () if has_extension(model, &["json"]) => NetSpec::from_json,
        () => return Ok(None),
    };
    parse(&text(model)?).map(Some).map_err(|error| Failure::from(error).within(model))
}

/// What a specification's file holds.
pub(crate) fn text(file: &str) -> Outcome<String> {
    read_text(file, MAX_TEXT)
        .map_err(|error| Failure::from(error).within(format_args!("{file}: cannot read")))
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

fn has_extension(name: &str, extensions: &[&str]) -> bool {
    let extension = Path::new(name).extension().map(|extension| extension.to_ascii_lowercase());
    extension.is_some_and(|found| extensions.iter().any(|known| found == *known))
}
