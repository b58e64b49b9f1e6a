//! A folder that Hugging Face's transformers loads: `config.json`, `preprocessor_config.json` and `model.safetensors`.

use std::path::Path;

use residual_arch::{BlockKind, Naming, NetSpec, OddMargin, Preprocess, Resize};
use serde_json::{Map, Value, json};

use super::crop::{pillow, share};
use crate::atomic::write_atomically;
use crate::beside::transformers_network;
use crate::error::Error;
use crate::model::Model;
use crate::safetensors;

/// Writes a folder that `AutoModelForImageClassification.from_pretrained` loads: a network of `model_type` `resnet`.
/// Gives false where the preprocessing cannot be said in `preprocessor_config.json`, which is left out then.
///
/// # Errors
/// [`Error::NotIn`] for a network that transformers' `ResNetConfig` cannot say; [`Error::Io`], naming the file.
pub fn transformers(model: &Model, folder: impl AsRef<Path>) -> Result<bool, Error> {
    let (folder, spec) = (folder.as_ref(), model.spec());
    if !model.has_head() {
        return Err(not_in("a backbone that has no head"));
    }
    let mut config = config(spec).ok_or_else(|| not_in("a network without blocks"))?;
    // What our own reader makes of the description is what transformers builds.
    let built = transformers_network(&Value::Object(config.clone()))?.with_classes(spec.head.classes);
    let built = built.with(|built| built.input = spec.input);
    if !spec.computes_as(&built) {
        return Err(not_in(format!("`{}`", spec.name)));
    }
    let names: Vec<String> = match model.classes() {
        Some(names) => names.to_vec(),
        None => (0..spec.head.classes).map(|class| format!("LABEL_{class}")).collect(),
    };
    let by_number = names.iter().enumerate().map(|(class, name)| (class.to_string(), name.as_str().into()));
    let by_name = names.iter().enumerate().map(|(class, name)| (name.clone(), class.into()));
    config.insert("id2label".into(), by_number.collect::<Map<_, _>>().into());
    config.insert("label2id".into(), by_name.collect::<Map<_, _>>().into());
    let state = model.named_as(&built, Naming::Transformers)?;
    std::fs::create_dir_all(folder).map_err(Error::io("create")).map_err(|error| error.in_file(folder))?;
    safetensors::write(folder.join("model.safetensors"), &state)?;
    write_json(&folder.join("config.json"), &config.into())?;
    let processor = processor(model.preprocess());
    if let Some(processor) = &processor {
        write_json(&folder.join("preprocessor_config.json"), processor)?;
    }
    Ok(processor.is_some())
}

/// `ResNetConfig` of a network, as far as its first blocks tell it.
fn config(spec: &NetSpec) -> Option<Map<String, Value>> {
    let blocks = spec.stages.iter().map(|stage| stage.blocks.first()).collect::<Option<Vec<_>>>()?;
    let (first, last) = (blocks.first()?, spec.blocks().last()?.1);
    let layer_type = match last.kind {
        BlockKind::Basic => "basic",
        BlockKind::Bottleneck => "bottleneck",
        _ => return None,
    };
    let depths: Vec<usize> = spec.stages.iter().map(|stage| stage.blocks.len()).collect();
    let config = json!({
        "architectures": ["ResNetForImageClassification"], "model_type": "resnet", "num_channels": spec.input[0],
        "embedding_size": spec.stem.channels(), "depths": depths,
        "hidden_sizes": blocks.iter().map(|block| block.channels).collect::<Vec<_>>(), "layer_type": layer_type,
        "hidden_act": "relu", "downsample_in_first_stage": first.stride != 1,
        "downsample_in_bottleneck": blocks.iter().any(|block| block.stride != 1 && block.stride_first),
    });
    config.as_object().cloned()
}

/// `preprocessor_config.json`; `None` where `ConvNextImageProcessor` cannot say the preprocessing.
fn processor(preprocess: &Preprocess) -> Option<Value> {
    let (Some(Resize::ShorterSide(side)), Some([height, width])) = (preprocess.resize, preprocess.crop)
    else {
        return None;
    };
    let is_convnext = height == width && height < 384 && preprocess.odd_margin == OddMargin::Floor;
    let (class, size) = match is_convnext {
        true => ("ConvNextImageProcessor", json!({ "shortest_edge": height })),
        // Torchvision's order of resize and crop.
        false => ("CLIPImageProcessor", json!({ "shortest_edge": side })),
    };
    let mut processor = json!({
        "image_processor_type": class, "do_resize": true, "size": size, "resample": pillow(preprocess.interpolation),
        "do_rescale": true, "rescale_factor": 1.0 / 255.0, "do_normalize": true, "image_mean": preprocess.mean,
        "image_std": preprocess.std,
    });
    match is_convnext {
        true => processor["crop_pct"] = share([height, width], [side; 2])?.into(),
        false => {
            processor["do_center_crop"] = true.into();
            processor["crop_size"] = json!({ "height": height, "width": width });
        }
    }
    Some(processor)
}

/// Writes JSON as people read it.
pub(super) fn write_json(path: &Path, value: &Value) -> Result<(), Error> {
    write_atomically(path, |file| {
        serde_json::to_writer_pretty(&mut *file, value)?;
        file.write_all(b"\n")
    })
}

fn not_in(what: impl Into<String>) -> Error {
    Error::NotIn {
        library: "transformers",
        what: what.into(),
        help: "its ResNet has a 7x7 stem, plain basic blocks or bottlenecks, and batch norms; export ONNX, or for timm",
    }
}
