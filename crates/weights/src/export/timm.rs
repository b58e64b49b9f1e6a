//! A folder that timm loads: `config.json` and `model.safetensors`.

use std::collections::BTreeSet;
use std::path::Path;

use residual_arch::families::family;
use residual_arch::published::{Library, all};
use residual_arch::{Naming, NetSpec, TensorPath};
use serde_json::{Map, Value, json};

use super::crop::{Crop, interpolation};
use crate::error::Error;
use crate::model::Model;
use crate::safetensors;

/// Writes a folder that `timm.create_model("local-dir:FOLDER", pretrained=True)` loads; gives timm's name of the
/// network.
///
/// # Errors
/// [`Error::NotIn`] for a network that timm has not, and for a preprocessing that it cannot say; [`Error::Io`], naming
/// the file.
pub fn timm(model: &Model, folder: impl AsRef<Path>) -> Result<&'static str, Error> {
    let folder = folder.as_ref();
    if !model.has_head() {
        return Err(not_in("a backbone that has no head".to_owned()));
    }
    let (name, spec) = timms(model.spec()).ok_or_else(|| not_in(format!("`{}`", model.spec().name)))?;
    let state = model.named_as(&spec, Naming::Timm)?;
    let config = config(model, name, &spec)?;
    std::fs::create_dir_all(folder).map_err(Error::io("create")).map_err(|error| error.in_file(folder))?;
    safetensors::write(folder.join("model.safetensors"), &state)?;
    super::transformers::write_json(&folder.join("config.json"), &config)?;
    Ok(name)
}

/// Name and specification of the timm network that computes as this one does.
fn timms(spec: &NetSpec) -> Option<(&'static str, NetSpec)> {
    let names: BTreeSet<&str> =
        all().iter().filter(|row| row.library == Library::Timm).map(|row| row.model).collect();
    // A network of the same name is meant before others that compute the same.
    let is_namesake = |name: &&str| spec.name.trim_start_matches("timm_") == *name;
    let (namesakes, others): (Vec<_>, Vec<_>) = names.into_iter().partition(is_namesake);
    namesakes.into_iter().chain(others).find_map(|name| {
        let timms = family(&format!("timm_{name}")).or_else(|_| family(name)).ok()?;
        let timms = timms.with_classes(spec.head.classes).with(|timms| timms.input = spec.input);
        spec.computes_as(&timms).then_some((name, timms))
    })
}

fn config(model: &Model, name: &str, spec: &NetSpec) -> Result<Value, Error> {
    let preprocess = model.preprocess();
    let crop = match (Crop::of(preprocess), preprocess.resize, preprocess.crop) {
        (Some(crop), _, _) => crop,
        // Images of the network's size, as they are.
        (None, None, None) => Crop { size: [spec.input[1], spec.input[2]], share: 1.0, mode: "center" },
        _ => return Err(not_in("this resize and crop".to_owned())),
    };
    let [channels, ..] = spec.input;
    let named = |path: &str| -> Option<String> {
        let path: TensorPath = path.parse().ok()?;
        let names = residual_arch::names::file_names(spec, Naming::Timm);
        let name = names.into_iter().find(|file| file.path == path)?.name;
        Some(name.trim_end_matches(".weight").to_owned())
    };
    let classes = model.spec().head.classes;
    let mut pretrained = json!({
        "input_size": [channels, crop.size[0], crop.size[1]], "num_classes": classes, "fixed_input_size": false,
        "interpolation": interpolation(preprocess.interpolation), "crop_pct": crop.share, "crop_mode": crop.mode,
        "mean": preprocess.mean, "std": preprocess.std, "classifier": named("head.linear.weight"),
    });
    if channels == 3 {
        pretrained["first_conv"] = named("stem.conv0.weight").into();
    }
    let mut config = Map::new();
    config.insert("architecture".into(), name.into());
    config.insert("num_classes".into(), classes.into());
    config.insert("global_pool".into(), "avg".into());
    if channels != 3 {
        config.insert("model_args".into(), json!({ "in_chans": channels }));
    }
    if let Some(names) = model.classes() {
        config.insert("label_names".into(), json!(names));
    }
    config.insert("pretrained_cfg".into(), pretrained);
    Ok(config.into())
}

fn not_in(what: String) -> Error {
    Error::NotIn { library: "timm", what, help: "export the tensors alone (safetensors, torch), or ONNX" }
}
