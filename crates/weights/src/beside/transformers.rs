//! `config.json` and `preprocessor_config.json` of Hugging Face's transformers, for `ResNetForImageClassification`.

use residual_arch::{
    BlockSpec, HeadSpec, IMAGENET_MEAN, IMAGENET_STD, Interpolation, Naming, NetSpec, OddMargin, Preprocess,
    Resize, Shortcut, StageSpec, StemSpec,
};
use serde_json::Value;

use super::description::{Description, names_by_number};
use crate::error::Error;
use crate::json::{floats, natural, naturals};
use crate::recognise::namesake;

/// Name of the description of the preprocessing.
pub(super) const PROCESSOR: &str = "preprocessor_config.json";

/// The most blocks that a description may ask for.
const MAX_BLOCKS: usize = 10_000;

/// Sides from which on `ConvNextImageProcessor` stretches images and does not crop them.
const STRETCHED: usize = 384;

/// The description of a network of `model_type` `resnet`.
///
/// # Errors
/// [`Error::Config`] for fields that are missing, and for what this library has not.
pub(super) fn description(config: &Value) -> Result<Description, Error> {
    let network = network(config)?;
    let classes = names_by_number(config.get("id2label")).filter(|names| !is_placeholder(names));
    Ok(Description { network: Some(network), preprocess: None, classes })
}

/// True for the names that the library makes up: `LABEL_0`.
fn is_placeholder(names: &[String]) -> bool {
    names.iter().enumerate().all(|(class, name)| *name == format!("LABEL_{class}"))
}

/// The network of a description.
///
/// # Errors
/// [`Error::Config`], as for [`description`].
pub(crate) fn network(config: &Value) -> Result<NetSpec, Error> {
    let missing = |field: &str| Error::Config { reason: format!("`{field}` is missing or no number") };
    let list = |field: &str| naturals(config.get(field)).ok_or_else(|| missing(field));
    let (depths, sizes) = (list("depths")?, list("hidden_sizes")?);
    let blocks = depths.iter().fold(0usize, |sum, &depth| sum.saturating_add(depth));
    if depths.len() != sizes.len() || blocks > MAX_BLOCKS {
        return Err(Error::Config { reason: "`depths` and `hidden_sizes` are of no network".to_owned() });
    }
    let channels = natural(config.get("embedding_size")).ok_or_else(|| missing("embedding_size"))?;
    let stem = StemSpec::imagenet().with(|stem| stem.convs[0].channels = channels);
    let kind = Kind::of(config)?;
    let mut channels = channels;
    let mut stages = Vec::with_capacity(depths.len());
    for (stage, (&depth, &size)) in depths.iter().zip(&sizes).enumerate() {
        let first = if stage > 0 || kind.first_stage_halves { 2 } else { 1 };
        let mut blocks = Vec::with_capacity(depth);
        for block in 0..depth {
            blocks.push(kind.block(channels, size, if block == 0 { first } else { 1 }));
            channels = size;
        }
        stages.push(StageSpec::new(blocks));
    }
    let input = natural(config.get("num_channels")).unwrap_or(3);
    let preprocess = Preprocess::imagenet(256, 224).with_input([input, 224, 224]);
    let network = NetSpec::new("resnet", [input, 224, 224], stem, stages, HeadSpec::new(1));
    let name = namesake(&network);
    Ok(network.with(|net| {
        (net.naming, net.preprocess) = (Naming::Transformers, preprocess);
        net.name = name.unwrap_or_else(|| net.name.clone());
    }))
}

/// Kind of the blocks.
struct Kind {
    is_bottleneck: bool,
    stride_first: bool,
    first_stage_halves: bool,
}

impl Kind {
    fn of(config: &Value) -> Result<Self, Error> {
        let unknown = |field: &str, value: &Value, known: &str| Error::Config {
            reason: format!("`{field}` is {value}; this library has {known}"),
        };
        let flag = |field: &str| config.get(field).and_then(Value::as_bool).unwrap_or(false);
        let is_bottleneck = match config.get("layer_type").and_then(Value::as_str).unwrap_or("bottleneck") {
            "bottleneck" => true,
            "basic" => false,
            other => return Err(unknown("layer_type", &other.into(), "`basic` and `bottleneck`")),
        };
        if let Some(act) = config.get("hidden_act").filter(|act| act.as_str() != Some("relu")) {
            return Err(unknown("hidden_act", act, "`relu`"));
        }
        Ok(Self {
            is_bottleneck,
            stride_first: flag("downsample_in_bottleneck"),
            first_stage_halves: flag("downsample_in_first_stage"),
        })
    }

    fn block(&self, inputs: usize, channels: usize, stride: usize) -> BlockSpec {
        if self.is_bottleneck {
            return BlockSpec::bottleneck(inputs, channels / 4, channels, stride)
                .with(|block| block.stride_first = self.stride_first);
        }
        let shortcut = Shortcut::fitting(inputs, channels, stride);
        BlockSpec::basic(channels).with(|block| (block.stride, block.shortcut) = (stride, shortcut))
    }
}

/// Preprocessing as an image processor's description has it: resize, crop, rescale, normalise. `ConvNextImageProcessor`,
/// which the published residual networks use, resizes to the size over `crop_pct`, cut to a whole number, and crops.
///
/// # Errors
/// [`Error::Config`] for fields that are no numbers, and for an unknown resampling.
pub(super) fn preprocess(config: &Value) -> Result<Preprocess, Error> {
    let wrong = |field: &str| Error::Config { reason: format!("`{field}` is not understood") };
    let does = |field: &str, default: bool| config.get(field).and_then(Value::as_bool).unwrap_or(default);
    let class =
        ["image_processor_type", "feature_extractor_type"].iter().find_map(|key| config.get(key)?.as_str());
    let is_convnext = class.is_none_or(|class| class.starts_with("ConvNext"));
    let interpolation = match config.get("resample") {
        None if is_convnext => Interpolation::Bicubic,
        None => Interpolation::Bilinear,
        Some(code) => interpolation(code.as_u64()).ok_or_else(|| wrong("resample"))?,
    };
    let size = match does("do_resize", true) {
        true => Some(Size::of(config.get("size"), is_convnext).ok_or_else(|| wrong("size"))?),
        false => None,
    };
    let mut result = Preprocess::normalise_only().with(|result| {
        (result.interpolation, result.odd_margin) = (interpolation, OddMargin::Floor);
    });
    match size {
        Some(Size::Shorter(side)) if is_convnext && side < STRETCHED => {
            let share = config.get("crop_pct").and_then(Value::as_f64).unwrap_or(224.0 / 256.0);
            if !(share > 0.0 && share <= 1.0) {
                return Err(wrong("crop_pct"));
            }
            result.resize = Some(Resize::ShorterSide((side as f64 / share) as usize));
            result.crop = Some([side, side]);
        }
        Some(Size::Shorter(side)) if is_convnext => result.resize = Some(Resize::Exact([side, side])),
        Some(Size::Shorter(side)) => result.resize = Some(Resize::ShorterSide(side)),
        Some(Size::Exact(size)) => result.resize = Some(Resize::Exact(size)),
        None => {}
    }
    if does("do_center_crop", false) && !is_convnext {
        let crop = Size::of(config.get("crop_size"), false).ok_or_else(|| wrong("crop_size"))?;
        result.crop = Some(match crop {
            Size::Exact(size) => size,
            Size::Shorter(side) => [side, side],
        });
    }
    normalisation(config, &mut result)?;
    Ok(result)
}

/// Mean and deviation on the scale 0 to 1, whatever pixels are multiplied by.
fn normalisation(config: &Value, result: &mut Preprocess) -> Result<(), Error> {
    let does = |field: &str| config.get(field).and_then(Value::as_bool).unwrap_or(true);
    let numbers = |field: &str, usual: [f32; 3]| match config.get(field) {
        None | Some(Value::Null) => Ok(usual.to_vec()),
        values => {
            floats(values).ok_or_else(|| Error::Config { reason: format!("`{field}` is not understood") })
        }
    };
    let (mean, std) = match does("do_normalize") {
        true => (numbers("image_mean", IMAGENET_MEAN)?, numbers("image_std", IMAGENET_STD)?),
        false => (vec![0.0; 3], vec![1.0; 3]),
    };
    if mean.len() != std.len() || std.iter().any(|&std| std <= 0.0) {
        return Err(Error::Config {
            reason: "`image_mean` and `image_std` cannot normalise an image".to_owned(),
        });
    }
    let usual = 1.0 / 255.0;
    let factor = match does("do_rescale") {
        true => config.get("rescale_factor").and_then(Value::as_f64).unwrap_or(usual),
        false => 1.0,
    };
    // (f p - mean) / std = (p / 255 - mean / 255 f) / (std / 255 f).
    let scale = (factor / usual) as f32;
    let is_usual = (scale - 1.0).abs() < 1e-6;
    let scaled = |values: Vec<f32>| match is_usual {
        true => values,
        false => values.iter().map(|value| value / scale).collect(),
    };
    (result.mean, result.std) = (scaled(mean), scaled(std));
    match scale > 0.0 {
        true => Ok(()),
        false => Err(Error::Config { reason: "`rescale_factor` is not above zero".to_owned() }),
    }
}

/// A size in an image processor's description.
enum Size {
    /// Shorter side.
    Shorter(usize),
    /// `[height, width]`
    Exact([usize; 2]),
}

impl Size {
    /// `224`, `{"shortest_edge": 224}` or `{"height": 224, "width": 224}`.
    fn of(value: Option<&Value>, number_is_shorter: bool) -> Option<Self> {
        let value = value?;
        let at = |key: &str| natural(value.get(key)).filter(|&side| side > 0);
        if let Some(side) = natural(Some(value)).filter(|&side| side > 0) {
            return Some(if number_is_shorter { Self::Shorter(side) } else { Self::Exact([side, side]) });
        }
        match (at("shortest_edge"), at("height"), at("width")) {
            (Some(side), _, _) => Some(Self::Shorter(side)),
            (None, Some(height), Some(width)) => Some(Self::Exact([height, width])),
            _ => None,
        }
    }
}

/// Pillow's numbers.
fn interpolation(code: Option<u64>) -> Option<Interpolation> {
    Some(match code? {
        0 => Interpolation::Nearest,
        1 => Interpolation::Lanczos,
        2 => Interpolation::Bilinear,
        3 => Interpolation::Bicubic,
        4 => Interpolation::Box,
        5 => Interpolation::Hamming,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_description_is_of_resnet_50() {
        let config = serde_json::json!({
            "model_type": "resnet", "embedding_size": 64, "hidden_sizes": [256, 512, 1024, 2048],
            "depths": [3, 4, 6, 3], "layer_type": "bottleneck", "hidden_act": "relu",
            "downsample_in_first_stage": false, "num_channels": 3, "id2label": { "0": "tench", "1": "goldfish" },
        });
        let described = description(&config).unwrap();
        assert_eq!(described.network.unwrap().name, "resnet50");
        assert_eq!(described.classes.unwrap(), ["tench", "goldfish"]);
    }

    #[test]
    fn image_processors_are_read_as_their_classes_mean_them() {
        let read = |value: Value| preprocess(&value).unwrap();
        // microsoft/resnet-50.
        let convnext = read(serde_json::json!({
            "crop_pct": 0.875, "do_normalize": true, "do_resize": true, "feature_extractor_type": "ConvNextFeatureExtractor",
            "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225], "resample": 3, "size": 224,
        }));
        let wanted = Preprocess::imagenet(256, 224)
            .with(|net| (net.interpolation, net.odd_margin) = (Interpolation::Bicubic, OddMargin::Floor));
        assert_eq!(convnext, wanted);
        let large = read(
            serde_json::json!({"image_processor_type": "ConvNextImageProcessor", "size": {"shortest_edge": 384}}),
        );
        assert_eq!((large.resize, large.crop), (Some(Resize::Exact([384, 384])), None));
        let vit = read(serde_json::json!({
            "image_processor_type": "ViTImageProcessor", "size": {"height": 224, "width": 160}, "resample": 2,
            "rescale_factor": 1.0 / 127.5, "image_mean": [1.0, 1.0, 1.0], "image_std": [1.0, 1.0, 1.0],
        }));
        assert_eq!(
            (vit.resize, vit.interpolation),
            (Some(Resize::Exact([224, 160])), Interpolation::Bilinear)
        );
        // p / 127.5 - 1 is (p / 255 - 0.5) / 0.5.
        assert!(vit.mean.iter().chain(&vit.std).all(|value| (value - 0.5).abs() < 1e-6));
        let clip = read(serde_json::json!({
            "image_processor_type": "CLIPImageProcessor", "size": {"shortest_edge": 256}, "do_center_crop": true,
            "crop_size": {"height": 224, "width": 224}, "resample": 3,
        }));
        assert_eq!((clip.resize, clip.crop), (Some(Resize::ShorterSide(256)), Some([224, 224])));
    }
}
