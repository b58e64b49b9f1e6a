//! Which network is meant: a family member, a written-out one, or that of a trained checkpoint.

use std::path::Path;

use residual::arch::NetSpec;
use residual::arch::families::family;
use residual::weights::Checkpoint;

use super::failure::{Failure, Outcome};

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
    let text = std::fs::read_to_string(model)
        .map_err(|error| Failure::from(error).within(format!("{model}: cannot read")))?;
    parse(&text).map(Some).map_err(|error| Failure::from(error).within(model))
}

fn has_extension(name: &str, extensions: &[&str]) -> bool {
    let extension = Path::new(name).extension().map(|extension| extension.to_ascii_lowercase());
    extension.is_some_and(|found| extensions.iter().any(|known| found == *known))
}
