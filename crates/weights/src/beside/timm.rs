//! `config.json` of timm's models on Hugging Face's hub: `architecture`, and `pretrained_cfg` with the preprocessing.

use residual_arch::families::family;
use residual_arch::{Fill, Interpolation, Preprocess, Resize};
use serde_json::Value;

use super::description::Description;
use crate::error::Error;
use crate::json::{floats, naturals};

/// File that the preprocessing is in.
const SOURCE: &str = "config.json";

/// The description of a timm model. A network that is no family member is told by its tensors.
///
/// # Errors
/// [`Error::Config`] for fields that are not understood.
pub(super) fn description(config: &Value) -> Result<Description, Error> {
    let pool = config.get("global_pool").and_then(Value::as_str).unwrap_or("avg");
    if !matches!(pool, "avg" | "") {
        let reason = format!("`global_pool` is `{pool}`; this library has `avg`");
        return Err(Error::Config { reason });
    }
    let name = config.get("architecture").and_then(Value::as_str).unwrap_or_default();
    // Older files have the fields without a dict around them.
    let pretrained = config.get("pretrained_cfg").unwrap_or(config);
    let preprocess = preprocess(pretrained)?.map(|preprocess| (preprocess, SOURCE));
    Ok(Description { network: family(name).ok(), preprocess, classes: classes(config, pretrained) })
}

/// Names of the classes: `label_names`, described by `label_descriptions` where there are such.
fn classes(config: &Value, pretrained: &Value) -> Option<Vec<String>> {
    let field = |name: &str| config.get(name).or_else(|| pretrained.get(name));
    let names = field("label_names")?.as_array()?;
    let names: Vec<&str> = names.iter().map(Value::as_str).collect::<Option<_>>()?;
    let described = |name: &&str| Some(field("label_descriptions")?.get(name)?.as_str()?.to_owned());
    Some(names.iter().map(|name| described(name).unwrap_or_else(|| (*name).to_owned())).collect())
}

/// Preprocessing as `timm.data.create_transform` makes it of a configuration; `None` where that has no input size.
fn preprocess(config: &Value) -> Result<Option<Preprocess>, Error> {
    let wrong = |field: &str| Error::Config { reason: format!("`{field}` is not understood") };
    let Some(input) = config.get("input_size") else { return Ok(None) };
    let input = naturals(Some(input)).filter(|input| input.iter().all(|&side| side > 0));
    let Some(&[channels, height, width]) = input.as_deref() else { return Err(wrong("input_size")) };
    let text = |field: &str, usual: &'static str| match config.get(field) {
        None | Some(Value::Null) => Ok(usual.to_owned()),
        Some(value) => value.as_str().map(str::to_owned).ok_or_else(|| wrong(field)),
    };
    let share = config.get("crop_pct").and_then(Value::as_f64).unwrap_or(0.875);
    if !(share > 0.0 && share <= 1.0) {
        return Err(wrong("crop_pct"));
    }
    let interpolation = match text("interpolation", "bicubic")?.as_str() {
        "nearest" => Interpolation::Nearest,
        "bilinear" => Interpolation::Bilinear,
        "bicubic" => Interpolation::Bicubic,
        "box" => Interpolation::Box,
        "hamming" => Interpolation::Hamming,
        "lanczos" => Interpolation::Lanczos,
        _ => return Err(wrong("interpolation")),
    };
    let before = [height, width].map(|side| (side as f64 / share).floor() as usize);
    let (resize, fill) = match text("crop_mode", "center")?.as_str() {
        "center" if height == width => (Resize::ShorterSide(before[0]), Fill::Black),
        "center" => (Resize::Cover(before), Fill::Black),
        "squash" => (Resize::Exact(before), Fill::Black),
        "border" => (Resize::Within(before), Fill::Mean),
        _ => return Err(wrong("crop_mode")),
    };
    let numbers = |field: &str| floats(config.get(field)).filter(|numbers| numbers.len() == channels);
    Ok(Some(Preprocess::normalise_only().with(|preprocess| {
        (preprocess.resize, preprocess.fill) = (Some(resize), fill);
        (preprocess.interpolation, preprocess.crop) = (interpolation, Some([height, width]));
        if let (Some(mean), Some(std)) = (numbers("mean"), numbers("std")) {
            (preprocess.mean, preprocess.std) = (mean, std);
        }
    })))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(change: impl FnOnce(&mut Value)) -> Result<Description, Error> {
        let mut config = serde_json::json!({
            "architecture": "resnet50", "num_classes": 2, "global_pool": "avg",
            "label_names": ["n01", "n02"], "label_descriptions": { "n01": "tench" },
            "pretrained_cfg": {
                "input_size": [3, 224, 224], "interpolation": "bicubic", "crop_pct": 0.95, "crop_mode": "center",
                "mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25],
            },
        });
        change(&mut config);
        description(&config)
    }

    #[test]
    fn a_configuration_says_network_preprocessing_and_classes() {
        let described = config(|_| {}).unwrap();
        assert_eq!(described.network.unwrap().name, "resnet50");
        assert_eq!(described.classes.unwrap(), ["tench", "n02"]);
        let (preprocess, source) = described.preprocess.unwrap();
        assert_eq!((preprocess.resize, preprocess.crop), (Some(Resize::ShorterSide(235)), Some([224, 224])));
        assert_eq!((preprocess.interpolation, source), (Interpolation::Bicubic, "config.json"));
        assert_eq!((preprocess.mean, preprocess.std), (vec![0.5; 3], vec![0.25; 3]));
        let border = config(|config| config["pretrained_cfg"]["crop_mode"] = "border".into()).unwrap();
        assert_eq!(border.preprocess.unwrap().0.resize, Some(Resize::Within([235, 235])));
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for (field, value) in [
            ("crop_pct", Value::from(0.0)),
            ("crop_mode", "spiral".into()),
            ("interpolation", "guess".into()),
            ("input_size", serde_json::json!([3, 224])),
        ] {
            let error = config(|config| config["pretrained_cfg"][field] = value).unwrap_err().to_string();
            assert!(error.contains(field), "{error}");
        }
        let error = config(|config| config["global_pool"] = "max".into()).unwrap_err().to_string();
        assert!(error.contains("global_pool"), "{error}");
    }
}
